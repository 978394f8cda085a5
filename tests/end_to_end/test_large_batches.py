"""A batch beyond memory goes from dataset to performance as one that fits: the same verdicts, versions and rows."""

import re

import numpy as np
import pandas as pd
import pytest

from mlops_assets import Folder, Limits, disk_frame
from mlops_assets.validation import repeated
from support.deployment import checks, plain, why
from support.synthetic import rows

SMALL = Limits(memory_mb=0.004)
SUITE = [
    {"type": "expect_column_values_to_be_between", "kwargs": {"column": "x", "min_value": -2, "max_value": 2}},
    {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "z", "mostly": 0.5}},
    {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "colour", "value_set": ["red", "green"]}},
    {"type": "expect_column_median_to_be_between", "kwargs": {"column": "z", "max_value": 1}},
    {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 10}},
]
WARN = [{**expectation, "meta": {"severity": "warn"}} for expectation in SUITE]


@pytest.fixture(autouse=True)
def few_rows_at_once(monkeypatch):
    monkeypatch.setattr(disk_frame, "ROWS_AT_ONCE", 37)
    monkeypatch.setattr(repeated, "MANY_ROWS", 50)


def trailing(batch, history):
    """The maximum of ten minutes before each row (a mean is summed in another order), and what the row itself has."""
    both = pd.concat([history, batch]).set_index("day")
    most = both["x"].rolling("10min", closed="left").max().iloc[len(history) :].to_numpy()
    return batch[["x", "z", "colour", "flag"]].assign(trailing=most)


def batch(number):
    """Rows with gaps: texts, numbers and booleans, some chunks without a value."""
    frame, random = rows(number, count=150), np.random.default_rng(number)
    frame["flag"] = (frame["x"] > 0).astype(object).where(random.random(150) > 0.1, None)
    frame["z"] = frame["z"].where(random.random(150) > 0.2)
    frame.loc[:60, "colour"] = None
    frame["day"] = frame["day"].astype("datetime64[us]")
    return frame


BAD = {
    "repeated key": lambda frame: frame.assign(id=frame["id"].replace(4003, 4140)),
    "future, infinite": lambda frame: frame.assign(
        x=frame["x"].where(frame.index != 77, np.inf), day=frame["day"] + pd.Timedelta(days=9000)
    ),
    "missing column": lambda frame: frame.drop(columns="z"),
    "text for number": lambda frame: frame.assign(x=frame["x"].astype(str).where(frame.index != 99, "many")),
    "numbers as text": lambda frame: frame.assign(x=frame["x"].astype(str), flag=1),
    "bytes": lambda frame: frame.assign(colour=[b"a"] * len(frame)),
    "no rows": lambda frame: frame.iloc[:0],
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "estimator", "features", "suffix"),
    [("y", "Ridge", trailing, "parquet"), ("bought", "LogisticRegression", None, "csv")],
)
def test_verdicts_versions_and_rows_are_those_in_memory(deployment, name, target, estimator, features, suffix):
    def model(part, limits):
        chunked = {} if features is None else {"features": features, "lookback": "1h", "chunked": True}
        return deployment.model(
            f"{name[:50]}_{part}",
            source=Folder(str(folder / f"*.{suffix}"), limits=limits),
            target=target,
            drop=[{"y": "bought", "bought": "y"}[target]],
            estimator=f"sklearn.linear_model.{estimator}",
            metrics=["rmse" if target == "y" else "log_loss"],
            expectations=lambda: WARN,
            **chunked,
        )

    folder = deployment.home / "landing" / name
    folder.mkdir(parents=True, exist_ok=True)
    both = [model("whole", Limits()), model("disk", Limits())]
    for number in (1, 2, 3):
        write(batch(number), folder / f"b{number}.{suffix}")
        assert all(each.take_in(f"b{number}").success for each in both)
    for each in both:
        trained = each.challenge()
        assert trained.success, why(trained)
    both[1] = model("disk", SMALL)

    write(batch(4), folder / f"b4.{suffix}")
    results = [each.take_in("b4") for each in both]
    assert results[0].success and results[1].success, why(results[1])
    assert_same(results)
    for kind in ("dataset", "features"):
        whole, disk = (each.records.read_frame(kind, "b4", version(each.record("b4"), kind)) for each in both)
        pd.testing.assert_frame_equal(disk, whole)
    pd.testing.assert_frame_equal(*(scored(each) for each in both))
    for kind in ("predictions", "drift", "performance"):
        whole, disk = (each.records.reports.get(kind, "b4") for each in both)
        assert (disk.content, disk.verdict, disk.reason, disk.figures) == (
            (whole.content, whole.verdict, whole.reason, whole.figures)
        )

    for number, (fault, spoilt) in enumerate(BAD.items(), 5):
        write(spoilt(batch(4)), folder / f"b{number}.{suffix}")
        results = [each.take_in(f"b{number}") for each in both]
        assert_same(results, fault)
        assert both[0].record(f"b{number}").status == both[1].record(f"b{number}").status, fault
        assert both[0].record(f"b{number}").version == both[1].record(f"b{number}").version, fault


def write(frame, path):
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, row_group_size=40)


def assert_same(results, what=""):
    """The checks of both runs say the same, word for word and figure for figure."""
    whole, disk = (
        {each.check_name: (each.passed, *said(each)) for each in checks(result).values()} for result in results
    )
    assert disk == whole, what


def said(check):
    """Description and metadata, without the moment of the check."""
    moment = r"lie after [0-9T:.+-]+:"
    values = {name: re.sub(moment, "", str(value)) for name, value in plain(check.metadata).items()}
    return re.sub(moment, "", check.description), values


def version(record, kind):
    return str(record.version if kind == "dataset" else record.features)


def scored(model):
    return model.predictions("b4").drop(columns=["model_digest"])


@pytest.mark.slow
def test_a_function_that_is_not_declared_chunked_is_told_what_to_declare(deployment, name):
    folder = deployment.home / "landing" / name
    folder.mkdir(parents=True, exist_ok=True)
    batch(1).to_parquet(folder / "b1.parquet")
    model = deployment.model(name, source=Folder(str(folder / "*.parquet"), limits=SMALL), features=trailing)
    result = model.take_in("b1")
    assert "150 rows x 8 columns, more than limits.memory_mb=0.004" in why(result)
    assert "Declare `chunked=True`" in why(result)
    model = deployment.model(
        name,
        source=Folder(str(folder / "*.parquet"), limits=SMALL),
        features=trailing,
        lookback="1h",
        chunked=True,
    )
    batch(2).sample(frac=1, random_state=0).to_parquet(folder / "b2.parquet")
    assert "rows are not in order of 'day'" in why(model.take_in("b2"))
    assert model.take_in("b1").success
