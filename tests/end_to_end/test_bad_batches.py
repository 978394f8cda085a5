"""Each bad batch says what is wrong with it, and holds up no other."""

import io
import os
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from mlops_assets import Folder, Limits
from mlops_assets.sources.keys import safe_key
from support.deployment import DeployedModel, Deployment, failed, why
from support.synthetic import rows


def with_value(column: str, row: int, value: object) -> pd.DataFrame:
    """A good batch with one value replaced."""
    frame = rows(2).astype({column: object})
    frame.loc[row, column] = value
    return frame


def cut_parquet() -> bytes:
    """The first half of a parquet file."""
    buffer = io.BytesIO()
    rows(2).to_parquet(buffer)
    return buffer.getvalue()[: buffer.tell() // 2]


def as_parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


OUTSIDE = "rows.csv"

BAD = {
    # name of the file: (content or kind of entry, check that fails, what it says)
    "empty.csv": (b"", "readable", "is empty (0 bytes); expected a header and rows"),
    "header-only.csv": (rows(2).head(0), "row_count", "0 rows; expected at least 1"),
    "truncated.parquet": (cut_parquet(), "readable", "is not a whole parquet file"),
    "lists.parquet": (
        as_parquet(rows(2).assign(z=[[1.0]] * 60)),
        "dtypes",
        "'z': row 1, '[1.0]': values of type 'ndarray'; expected numbers, text, booleans or times: convert them",
    ),
    "missing-column.csv": (rows(2).drop(columns="x"), "columns", "missing: 'x'"),
    "text-in-numbers.csv": (with_value("x", 4, "n/k"), "dtypes", "got text: 'n/k' (row 5)"),
    "null-column.csv": (rows(2).assign(z=np.nan), "non_null", "all values missing: 'z' (100.0%)"),
    "repeated-keys.csv": (pd.concat([rows(2), rows(2).tail(3)]), "key_unique", "6 rows share their key 'id'"),
    "future.csv": (with_value("day", 9, "2200-01-01 00:00:00"), "time_valid", "1 times lie after"),
    "latin-1.csv": (
        rows(2).assign(colour="grün").to_csv(index=False).encode("latin-1"),
        "readable",
        "is not utf-8-sig (byte 0xfc at offset",
    ),
    "too-large.csv": (rows(2, 12_000), "readable", "is too large (1.1 MB); expected at most 0.1 MB. Split the file"),
    "infinite.csv": (with_value("x", 7, "inf"), "finite", "'x': infinite or 1e+150 and beyond: inf (row 8)"),
    "zipped.csv": (b"PK\x03\x04" + bytes(100), "readable", "begins like a zip archive"),
    "new\nline.csv": (rows(2), "readable", "has an unsafe name"),
    "-leading-dash.csv": (rows(2), "readable", "has an unsafe name"),
    f"{'a' * 246}.csv": (rows(2), "readable", "has an unsafe name"),
    "\u0441\u043e\u0440\u0443.csv": (rows(2), "readable", "has an unsafe name"),
    "<img src=x onerror=alert(1)>.csv": (rows(2), "readable", "has an unsafe name"),
    "leads-out.csv": ("link", "readable", "is a link that leads out of its folder"),
    "pipe.csv": ("pipe", "readable", "is a named pipe; expected a regular file"),
    "folder.csv": ("folder", "readable", "is a directory; expected a regular file"),
}


def place(path: Path, content: object) -> None:
    """Put what was asked for where a file of data is looked for."""
    if isinstance(content, pd.DataFrame):
        content.to_csv(path, index=False)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "link":
        rows(2).to_csv(path.parents[1] / OUTSIDE, index=False)
        path.symlink_to(path.parents[1] / OUTSIDE)
    elif content == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()


@pytest.fixture(scope="module")
def shop(deployment: Deployment) -> DeployedModel:
    source = Folder(str(deployment.home / "landing" / "shop" / "*"), limits=Limits(max_mb=0.1))
    return deployment.model("shop", source=source)


@pytest.fixture(scope="module")
def taken_in(shop: DeployedModel) -> dict[str, dg.ExecuteInProcessResult]:
    """One good batch, all bad ones, two good ones, each with the run that took it in."""
    files = {"good-1.csv": rows(1), **{name: bad[0] for name, bad in BAD.items()}, "good-3.csv": rows(3)}
    files["good-4.csv"] = rows(4)
    for name, content in files.items():
        place(shop.landing / name, content)
    return {name: shop.take_in(safe_key(name)) for name in files}


@pytest.mark.promise(4)
@pytest.mark.fault(1, 2, 3, 6, 8, 10, 11, 12, 13, 16, 19, 20, 21, 22)
@pytest.mark.parametrize("file", BAD, ids=[name.encode("unicode_escape").decode()[:30] for name in BAD])
def test_bad_batch_is_rejected_with_the_reason(file, shop, taken_in):
    _, check, says = BAD[file]
    result, record = taken_in[file], shop.record(safe_key(file))
    assert says in failed(result)[check]
    assert f"batch {safe_key(file)!r} is rejected. " in why(result)
    assert says in why(result)
    assert record.status == "rejected" and any(says in reason for reason in record.reasons)


@pytest.mark.promise(4)
def test_good_batches_before_and_after_are_taken_in(shop, taken_in):
    for name, number in (("good-1.csv", 1), ("good-3.csv", 3), ("good-4.csv", 4)):
        assert taken_in[name].success
        record = shop.record(name)
        assert (record.status, record.rows, record.labelled) == ("accepted", 60, 60)
        assert record.start == rows(number)["day"].min().isoformat()


@pytest.mark.promise(4)
@pytest.mark.fault(20, 21)
def test_the_source_names_every_file_and_stays_in_its_folder(shop, taken_in):
    for entry in shop.landing.iterdir():
        os.utime(entry, (0, 0), follow_symlinks=False)
    os.utime(shop.landing.parent / OUTSIDE, (0, 0))
    assert set(shop.pipeline.source.look(None).ready) >= {safe_key(name) for name in taken_in}
    stored = [path.relative_to(shop.storage.root) for path in Path(shop.storage.root, "shop").rglob("*")]
    assert all(len(path.parts) <= 4 and path.parts[0] == "shop" for path in stored)
    assert (shop.landing.parent / OUTSIDE).is_file()


@pytest.mark.promise(4)
def test_training_goes_on_with_the_good_batches_and_names_the_others(shop, taken_in):
    result = shop.train()
    assert result.success, failed(result)
    assert shop.champion() == 1
    shown = shop.shown("training_set")
    used = {row["batch"]: row["role"] for row in shown["batches"] if row["role"] != "out"}
    assert used == {"good-1.csv": "train", "good-3.csv": "train", "good-4.csv": "holdout"}
    out = {row["batch"]: row["why"] for row in shown["batches"] if row["role"] == "out"}
    assert set(out) == {safe_key(name) for name in BAD}
    assert "all values missing: 'z'" in out["null-column.csv"]


@pytest.mark.fault(9)
def test_a_category_never_seen_is_scored_and_its_share_reported(deployment, name):
    model = deployment.model(name)
    model.prepare(b1=rows(1), b2=rows(2), b3=rows(3))
    assert model.train().success
    later = rows(4)
    later.loc[:14, "colour"] = "ultraviolet"
    model.land("b4", later)
    assert model.take_in("b4").success
    assert model.shown("predictions")["unseen_categories"] == [{"feature": "colour", "unseen share": 0.25}]
    assert np.isfinite(model.predictions("b4")["score"]).all()


@pytest.mark.fault(15)
def test_labels_of_a_single_class_are_not_trained_on(deployment, name):
    model = deployment.model(
        name,
        target="bought",
        drop=["y"],
        estimator="sklearn.linear_model.LogisticRegression",
        metrics=["log_loss"],
    )
    model.prepare(b1=rows(1).assign(bought=1), b2=rows(2).assign(bought=1))
    result = model.train()
    assert "all 60 training rows have bought = 1" in failed(result)["more_than_one_class"]
    assert model.registry.versions(name) == []

    model.prepare(b1=rows(1), b2=rows(2), b3=rows(3))
    assert model.train().success and model.champion() == 1
    model.prepare(b4=rows(4).assign(bought=0))
    result = model.train()
    assert failed(result) == {
        "more_than_one_class": "all 60 holdout rows have bought = 0: nothing can be learned or judged; "
        "widen the window or wait for other labels"
    }
    assert [version.version for version in model.registry.versions(name)] == [1]
    assert model.champion() == 1
