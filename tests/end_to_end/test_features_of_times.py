"""A column of times that would be a feature is told when its batch comes, and is taken in once that is mended."""

import pandas as pd
import pytest

from mlops_assets import Folder, ModelPipeline
from mlops_assets.assets.batch.feature_times import refused_times, times_returned, with_times_as_text
from mlops_assets.checks import CheckOutcome
from mlops_assets.modelling.features import compute
from mlops_assets.resources.judges import judged_by
from support.deployment import failed, why
from support.synthetic import rows


def visits(**columns) -> pd.DataFrame:
    seen = pd.to_datetime(["2024-01-05", None, "2024-02-07"])
    return pd.DataFrame({"day": pd.date_range("2024-03-01", periods=3), "seen": seen, "x": 1.0, "y": 2.0, **columns})


def model(**declared) -> ModelPipeline:
    ordinary = {"name": "visits", "source": Folder("x/*.csv"), "target": "y", "time": "day"}
    return ModelPipeline(**{**ordinary, "estimator": "sklearn.linear_model.Ridge", **declared})


def seen_days(batch: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    return batch[["x", "seen"]]


def whole_pipeline():
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    return make_pipeline(Ridge())


def only_ridge():
    from sklearn.linear_model import Ridge

    return Ridge()


@pytest.mark.parametrize("zone", [None, "Asia/Tokyo"])
def test_a_feature_of_times_is_refused_with_the_remedy(zone):
    batch = visits()
    batch["seen"] = batch["seen"].dt.tz_localize(zone)
    said = refused_times(model(), batch)
    assert len(said) == 1 and said[0].startswith("'seen': row 1, '2024-01-05 00:00:00")
    assert "a feature of times, which no estimator takes; derive numbers from them in `features`" in said[0]
    assert said[0].endswith("or list the column in `drop`")


@pytest.mark.parametrize(
    "declared",
    [{"drop": ["seen"]}, {"key": ["seen"]}, {"known_at": "seen"}, {"group": "seen"}, {"estimator": whole_pipeline}],
    ids=["drop", "key", "known_at", "group", "a Pipeline of one's own"],
)
def test_what_is_no_feature_or_goes_to_a_pipeline_of_ones_own_may_be_of_times(declared):
    assert refused_times(model(**declared), visits()) == []


def test_what_the_feature_function_returns_is_judged_in_its_place():
    declared = model(features=seen_days)
    assert refused_times(declared, visits()) == [] and times_returned(model(), visits()) == []
    (said,) = times_returned(declared, compute(seen_days, visits(), visits().head(0), declared.not_features))
    assert said.startswith("'seen': row 1") and said.endswith("and leave the column out")
    assert len(refused_times(model(estimator=only_ridge), visits())) == 1


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (["2024-01-05", None, "2024-02-07"], True),
        (["05.01.2024 12:00", "06.01.2024 13:30", "07.01.2024 14:00"], True),
        (["20240105", "20240106", "20240107"], False),  # rather a code
        (["2024-01-05", "never", "2024-02-07"], False),
        (["A-2024", "B-2024", "C-2024"], False),
        ([None, None, None], False),
    ],
)
def test_times_as_text_are_named_where_the_batch_is_accepted(values, told):
    outcomes = [CheckOutcome("dtypes", True, "4 columns hold what is expected"), CheckOutcome("columns", True, "all")]
    said = with_times_as_text(outcomes, model(), visits(seen=values))
    assert said[1] == outcomes[1] and said[0].passed
    assert ("'seen': times as text, so each is a category of its own; derive numbers" in said[0].message) is told
    assert with_times_as_text(outcomes, model(drop=["seen"]), visits(seen=values)) == outcomes


def test_a_rejected_batch_is_judged_anew_once_the_column_is_dropped_or_derived_from():
    assert len({judged_by(each, 0) for each in (model(), model(drop=["seen"]), model(features=seen_days))}) == 3


@pytest.mark.parametrize("dtype", ["string", "string[pyarrow]", pd.ArrowDtype(__import__("pyarrow").string())])
def test_text_with_gaps_of_a_feature_function_reaches_encoders_as_none(dtype):
    found = compute(
        lambda batch, history: batch[["seen"]], visits(seen=pd.array(["a", None, "b"], dtype=dtype)), visits(), ["y"]
    )
    assert [None if pd.isna(value) else value for value in found["seen"]] == ["a", None, "b"]
    assert found["seen"].dtype == object


def test_the_batch_is_rejected_then_taken_in_with_the_column_dropped(deployment, name):
    declared = {"source": Folder(str(deployment.home / "landing" / name / "*.parquet"))}
    landing = deployment.model(name, **declared).landing
    for number in (1, 2):
        batch = rows(number).assign(signed=lambda frame: frame["day"] - pd.Timedelta(days=9))
        batch.to_parquet(landing / f"b{number}.parquet")
    refused = deployment.model(name, **declared)
    result = refused.take_in("b1")
    assert "batch 'b1' is rejected. " in why(result)
    assert failed(result)["dtypes"].startswith("'signed': row 1, '2023-12-24 00:00:00': a feature of times")
    assert refused.record("b1").status == "rejected"
    mended = deployment.model(name, **declared, drop=["signed"])
    for batch in ("b1", "b2"):
        result = mended.materialize("dataset", "features", batch=batch)
        assert result.success, why(result)
    assert mended.challenge().success and mended.champion() == 1
