"""The training set of an object store is read several batches at a time and is that of a folder."""

import threading

import numpy as np
import pandas as pd
import pytest

from mlops_assets import ModelPipeline
from mlops_assets.modelling.manifest import BatchInfo, Manifest
from mlops_assets.records import rows as rows_module
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.reads_ahead import AT_ONCE
from mlops_assets.records.rows import read_train
from mlops_assets.resources.storage import Storage, frames
from mlops_assets.sources import Folder

pytestmark = pytest.mark.slow
BATCHES = 12
FIRST = pd.Timestamp("2024-01-01")


def written(storage: Storage, model: ModelPipeline) -> Manifest:
    infos = []
    for number in range(BATCHES):
        generator, count = np.random.default_rng(number), 40 + number
        hours = pd.to_timedelta(number * 48 + np.arange(count) // 2, unit="h")
        day = (FIRST + hours).as_unit("us")
        y = np.where(generator.random(count) < 0.1, np.nan, generator.normal(size=count))
        frame = pd.DataFrame({"day": day, "x": generator.normal(size=count), "y": y})
        storage.write_frame(model.name, "dataset", f"b{number}", "v1", frame)
        storage.write_frame(model.name, "features", f"b{number}", "f1", frame[["x"]])
        labelled, span = int(np.isfinite(y).sum()), {"start": day.min(), "end": day.max()}
        infos.append(BatchInfo(key=f"b{number}", version="v1-f1", rows=count, labelled=labelled, **span))
    return Manifest(tuple(infos), ())


def test_rows_of_s3_equal_those_of_a_folder_and_eight_batches_are_read_at_once(s3_bucket, tmp_path, monkeypatch):
    model = ModelPipeline(
        name="late", source=Folder("rows/*.csv"), time="day", target="y", estimator="sklearn.linear_model.Ridge"
    )
    folder = Storage(root=str(tmp_path / "store"))
    store = Storage(root=f"{s3_bucket.url}/of/mlops", database="$RECORDS")
    manifest = written(folder, model)
    assert written(store, model) == manifest
    read, lock, under_way, most = frames.read, threading.Lock(), {}, {}
    together = threading.Barrier(AT_ONCE, timeout=30)
    begun = []

    def counted(place, columns, rows):
        where = "store" if "://" in place else "folder"
        with lock:
            under_way[where] = under_way.get(where, 0) + 1
            most[where] = max(most.get(where, 0), under_way[where])
            waits = where == "store" and len(begun) < AT_ONCE and "/dataset/" in place
            begun.extend([place] if waits else [])
        if waits:
            together.wait()
        try:
            return read(place, columns, rows)
        finally:
            with lock:
                under_way[where] -= 1

    monkeypatch.setattr(frames, "read", counted)
    rows_module._rows.cache_clear()
    ours, theirs = (read_train(ModelRecords(model, storage), manifest) for storage in (store, folder))
    assert most == {"store": AT_ONCE, "folder": 1}
    pd.testing.assert_frame_equal(ours.X, theirs.X, check_exact=True)
    pd.testing.assert_frame_equal(ours.about, theirs.about, check_exact=True)
    pd.testing.assert_series_equal(ours.y, theirs.y, check_exact=True)
    assert (ours.batch == theirs.batch).all()
    assert len(ours.y) == manifest.rows("train") > 400
