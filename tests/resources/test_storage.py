import subprocess
import sys
import textwrap
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from mlops_assets.errors import MlopsAssetsError
from mlops_assets.records.engine import database_of
from mlops_assets.records.frames import BatchFiles, keep_frame
from mlops_assets.resources.storage import Storage
from support.ledger_rows import latest


@pytest.fixture
def storage(tmp_path) -> Storage:
    return Storage(root=str(tmp_path / "store"))


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "time": pd.to_datetime(["2024-01-01", "2024-01-02"]),
            "value": [1.5, np.nan],
            "site": pd.Categorical(["b", "a"]),
            "text": ["é", None],
        },
        index=[7, 9],
    )


def test_frame_comes_back_as_it_was_without_its_index(storage, frame):
    path = Path(storage.write_frame("co2", "dataset", "1974", "v1", frame))
    assert path.parts[-4:] == ("co2", "dataset", "1974", "v1.parquet")
    pd.testing.assert_frame_equal(storage.read_frame("co2", "dataset", "1974", "v1"), frame.reset_index(drop=True))
    columns = storage.read_frame("co2", "dataset", "1974", "v1", columns=["text", "value"])
    assert list(columns) == ["text", "value"]


def test_version_is_written_once_and_latest_follows_the_last_write(storage, frame):
    path = Path(keep_frame(storage, "co2", "dataset", "1974", "v1", frame))
    before = path.stat().st_mtime_ns, path.read_bytes()
    keep_frame(storage, "co2", "dataset", "1974", "v2", frame)
    assert latest(storage, "co2", "dataset", "1974") == "v2"
    keep_frame(storage, "co2", "dataset", "1974", "v1", frame.head(1))
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before
    assert latest(storage, "co2", "dataset", "1974") == "v1"
    assert latest(storage, "co2", "dataset", "1975") is None


def test_missing_frame_and_column_are_named(storage, frame):
    with pytest.raises(MlopsAssetsError, match=r"dataset of batch '1974' of co2, version 'v9', is not stored at .*v9"):
        storage.read_frame("co2", "dataset", "1974", "v9")
    storage.write_frame("co2", "dataset", "1974", "v1", frame)
    with pytest.raises(MlopsAssetsError, match=r"has no column \['gone'\]: it has \['time', 'value', 'site', 'text'\]"):
        storage.read_frame("co2", "dataset", "1974", "v1", columns=["gone"])


def test_rows_are_read_a_few_columns_at_a_time(storage):
    wide = pd.DataFrame({f"c{number:03d}": np.arange(20.0) + number for number in range(120)}).assign(text="a")
    storage.write_frame("bike", "features", "b1", "v1", wide)
    some = storage.read_frame("bike", "features", "b1", "v1", rows=np.array([3, 7, 19]))
    pd.testing.assert_frame_equal(some, wide.iloc[[3, 7, 19]].reset_index(drop=True))
    two = storage.read_frame("bike", "features", "b1", "v1", ["text", "c001"], rows=np.array([0]))
    assert two.to_dict("records") == [{"text": "a", "c001": 1.0}]
    assert storage.has_frame("bike", "features", "b1", "v1") and not storage.has_frame("bike", "features", "b1", "v2")


@pytest.mark.fault(3)
def test_truncated_file_is_told_plainly(storage, frame):
    path = Path(storage.write_frame("co2", "dataset", "1974", "v1", frame))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(MlopsAssetsError, match=r"cannot be read .* materialise it again"):
        storage.read_frame("co2", "dataset", "1974", "v1")


@pytest.mark.fault(3)
def test_a_truncated_file_is_written_again(storage, frame):
    path = Path(storage.write_frame("co2", "dataset", "1974", "v1", frame))
    whole = path.read_bytes()
    for left in (0, 8, 60, len(whole) - 1):
        path.write_bytes(whole[:left])
        storage.write_frame("co2", "dataset", "1974", "v1", frame)
        assert path.read_bytes() == whole


@pytest.mark.promise(6)
@pytest.mark.fault(21)
@pytest.mark.parametrize("name", ["..", ".", "", "../x", "a/b", "a\nb", "a b", "é", "x" * 201])
def test_unsafe_name_is_refused(name, storage, frame):
    for arguments in ([name, "k", "b", "v"], ["m", name, "b", "v"], ["m", "k", name, "v"], ["m", "k", "b", name]):
        with pytest.raises(MlopsAssetsError, match="cannot be part of a path"):
            storage.write_frame(*arguments, frame)
    with pytest.raises(MlopsAssetsError, match="cannot be part of a path"):
        storage.read_document("m", "k", name)


def test_column_of_mixed_types_is_named(storage, frame):
    with pytest.raises(MlopsAssetsError, match=r"mixed types \{'odd': \['int', 'str'\]\}\. Give each column one name"):
        storage.write_frame("co2", "dataset", "1974", "v1", frame.assign(odd=pd.Series([1, "a"], [7, 9], dtype=object)))
    with pytest.raises(MlopsAssetsError, match="Duplicate column names"):
        storage.write_frame("co2", "dataset", "1974", "v1", pd.concat([frame, frame], axis=1))
    assert latest(storage, "co2", "dataset", "1974") is None


def test_a_document_is_written_once(storage):
    assert storage.read_document("co2", "training_set", "v1") is None
    path = Path(storage.write_document("co2", "training_set", "v1", {"n": 1}))
    storage.write_document("co2", "training_set", "v1", {"n": 2})
    assert storage.read_document("co2", "training_set", "v1") == {"n": 1}
    assert str(path) == storage.document_place("co2", "training_set", "v1")
    with pytest.raises(MlopsAssetsError, match="not a plain JSON value"):
        storage.write_document("co2", "training_set", "v2", {"n": frozenset()})
    path.write_text("{")
    with pytest.raises(MlopsAssetsError, match="cannot be read as JSON"):
        storage.read_document("co2", "training_set", "v1")


@pytest.mark.fault(33)
def test_full_disk_leaves_no_file(tmp_path):
    # A limit on file size stands for a full disk: the kernel refuses the write half-way.
    program = """
        import resource, sys
        import numpy as np, pandas as pd
        from mlops_assets.errors import MlopsAssetsError
        from mlops_assets.resources.storage import Storage
        frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=50_000)})
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            Storage(root=sys.argv[1]).write_frame("co2", "dataset", "1974", "v1", frame)
        except MlopsAssetsError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "v1.parquet cannot be written: File too large. Look at space and rights" in done.stdout
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_batch_files_hand_batches_to_an_asset(storage, tmp_path):
    batches = dg.DynamicPartitionsDefinition(name="co2_batches")
    seen: dict[str, list[float]] = {}
    for batch, value in (("1974", 1.0), ("1975", 2.0)):
        keep_frame(storage, "co2", "dataset", batch, "old", pd.DataFrame({"x": [0.0], "y": [0.0]}))
        keep_frame(storage, "co2", "dataset", batch, "new", pd.DataFrame({"x": [value], "y": [value]}))
    ours = dg.AssetSpec(["co2", "dataset"], partitions_def=batches).with_io_manager_key("io_manager")

    @dg.asset(partitions_def=batches, ins={"dataset": dg.AssetIn(["co2", "dataset"])})
    def doubled(dataset: pd.DataFrame) -> pd.DataFrame:
        return dataset * 2

    @dg.asset(ins={"dataset": dg.AssetIn(["co2", "dataset"], metadata={"columns": ["x"]})})
    def total(dataset: pd.DataFrame) -> pd.DataFrame:
        seen["total"] = dataset["x"].tolist()
        assert list(dataset) == ["x"]
        return dataset

    @dg.asset
    def last(total: pd.DataFrame) -> None:
        seen["last"] = total["x"].tolist()

    instance = dg.DagsterInstance.ephemeral()
    instance.add_dynamic_partitions("co2_batches", ["1974", "1975", "rejected"])
    resources = {"io_manager": BatchFiles(root=storage.root)}
    one = dg.materialize([ours, doubled], instance=instance, partition_key="1975", resources=resources)
    assert one.success
    version = latest(storage, "assets", "doubled", "1975")
    assert storage.read_frame("assets", "doubled", "1975", str(version))["x"].tolist() == [4.0]
    assert dg.materialize([ours, total, last], instance=instance, resources=resources).success
    assert seen == {"total": [1.0, 2.0], "last": [1.0, 2.0]}
    with pytest.raises(MlopsAssetsError, match=r"co2/dataset has no stored frame for 'rejected' under .* materialise"):
        dg.materialize([ours, doubled], instance=instance, partition_key="rejected", resources=resources)


def test_batch_files_store_frames_only(storage):
    @dg.asset
    def number() -> int:
        return 3

    with pytest.raises(MlopsAssetsError, match="number returned a int: BatchFiles stores DataFrames"):
        dg.materialize([number], resources={"io_manager": BatchFiles(root=storage.root)})


def test_where_nothing_can_be_written_the_error_names_the_file(tmp_path):
    (tmp_path / "root").write_text("a file, where a folder should be")
    with pytest.raises(
        MlopsAssetsError, match=r"b\.json cannot be written: Not a directory\. Look at space and rights"
    ):
        Storage(root=str(tmp_path / "root")).write_document("co2", "training_set", "b", {})


def _chunks(frame: pd.DataFrame, rows: int) -> list[pd.DataFrame]:
    return [frame.iloc[first : first + rows] for first in range(0, len(frame), rows)]


def test_a_frame_comes_in_chunks_as_it_was_written_in_chunks(storage):
    rows = np.arange(1_000)
    frame = pd.DataFrame(
        {
            "time": pd.date_range("2024-01-01", periods=1_000, freq="h", tz="UTC"),
            "n": rows,
            "value": np.where(rows % 7, rows / 3, np.nan),
            "text": pd.Series([None if row % 11 == 0 else f"é{row % 5}" for row in rows], dtype="str"),
            "flag": pd.Series([None if row == 999 else row % 2 == 0 for row in rows], dtype=object),
            "count": pd.Series([None if row == 500 else row for row in rows], dtype="Int64"),
        }
    )
    place = storage.write_chunks("co2", "dataset", "b", "v", iter(_chunks(frame, 300)))
    assert place == storage.frame_place("co2", "dataset", "b", "v")
    pd.testing.assert_frame_equal(storage.read_frame("co2", "dataset", "b", "v"), frame)
    storage.write_frame("co2", "dataset", "b", "whole", frame)
    for version in ("v", "whole"):
        for size in (1, 130, 300, 5_000):
            chunks = list(storage.frame_chunks("co2", "dataset", "b", version, rows_at_once=size))
            assert max(map(len, chunks)) <= size
            pd.testing.assert_frame_equal(pd.concat(chunks, ignore_index=True), frame)
            assert all((chunk.dtypes == frame.dtypes).all() for chunk in chunks)
    two = list(storage.frame_chunks("co2", "dataset", "b", "v", columns=["value", "n"]))
    pd.testing.assert_frame_equal(pd.concat(two, ignore_index=True), frame[["value", "n"]])


def test_chunks_of_integers_with_a_gap_have_the_type_of_the_whole(storage):
    frame = pd.DataFrame({"n": pd.Series([1, 2, 3, None], dtype=object)})
    storage.write_frame("co2", "dataset", "b", "v", frame)
    whole = storage.read_frame("co2", "dataset", "b", "v")
    chunks = list(storage.frame_chunks("co2", "dataset", "b", "v", rows_at_once=2))
    assert [chunk["n"].dtype for chunk in chunks] == [whole["n"].dtype] * 2 == [np.dtype("float64")] * 2


def test_an_empty_frame_is_one_empty_chunk(storage, frame):
    storage.write_frame("co2", "dataset", "b", "v", frame.head(0))
    (chunk,) = storage.frame_chunks("co2", "dataset", "b", "v", columns=["value"])
    assert list(chunk) == ["value"] and chunk.empty
    with pytest.raises(MlopsAssetsError, match="expected at least one chunk of rows, got none"):
        storage.write_chunks("co2", "dataset", "b", "v2", [])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda chunk: chunk.assign(more=1), "columns 'n', 'text', 'more', expected 'n', 'text'"),
        (lambda chunk: chunk.drop(columns="n"), "columns 'text', expected 'n', 'text'"),
        (lambda chunk: chunk.assign(n="7"), "'n' is (large_)?string, expected int64"),
        (lambda chunk: chunk.assign(n=1.5), "truncated"),
    ],
)
def test_a_chunk_of_another_kind_stores_nothing(storage, change, fault):
    first = pd.DataFrame({"n": [1, 2], "text": ["a", "b"]})
    with pytest.raises(MlopsAssetsError, match=f"chunk 3 does not have the columns and types of the first.*{fault}"):
        storage.write_chunks("co2", "dataset", "b", "v", [first, first, change(first)])
    assert not storage.has_frame("co2", "dataset", "b", "v")
    assert not list(Path(storage.root).rglob("*.tmp"))


def test_chunks_that_fail_store_nothing_and_chunks_of_a_known_version_are_not_read(storage, frame):
    def failing():
        yield frame
        raise ValueError("half-way")

    with pytest.raises(ValueError, match="half-way"):
        storage.write_chunks("co2", "dataset", "b", "v", failing())
    assert not storage.has_frame("co2", "dataset", "b", "v")
    storage.write_frame("co2", "dataset", "b", "v", frame)
    storage.write_chunks("co2", "dataset", "b", "v", failing())
    with pytest.raises(MlopsAssetsError, match="is not stored at"):
        next(storage.frame_chunks("co2", "dataset", "b", "gone"))


@pytest.mark.parametrize("root", ["s3://bucket/x", "gs://bucket/x", "abfs://container/x"])
def test_an_object_store_requires_a_database(root, monkeypatch):
    monkeypatch.delenv("MLOPS_ASSETS_DATABASE", raising=False)
    with pytest.raises(MlopsAssetsError, match=rf"the storage {root} is on an object store.*MLOPS_ASSETS_DATABASE"):
        Storage(root=root)
    with pytest.raises(MlopsAssetsError, match="is on an object store"):
        BatchFiles(root=root)
    assert Storage(root=root, database="$OTHER").root == root
    monkeypatch.setenv("MLOPS_ASSETS_DATABASE", "postgresql://ada:secret@host/records")
    storage = Storage(root=root)
    assert database_of(storage.database, storage.root) == "postgresql://ada:secret@host/records"
    assert storage.frame_place("m", "k", "b", "v") == f"{root}/m/k/b/v.parquet"
    assert "secret" not in repr(storage)


@pytest.mark.fault(69)
@pytest.mark.parametrize(
    "root", ["http://host/x", "ftp://host/x", "s4://bucket", "s3:///x", "s3://key:secret@bucket/x"]
)
def test_an_unknown_store_is_refused_when_declared(root):
    for resource in (Storage, BatchFiles):
        with pytest.raises(MlopsAssetsError) as raised:
            resource(root=root, database="$DATABASE")
        assert "secret" not in str(raised.value)


def test_a_root_of_the_environment_is_checked_when_it_is_known(monkeypatch):
    @dg.asset
    def rows(store: Storage) -> None:
        raise AssertionError("not reached")

    monkeypatch.setenv("ROOT_OF_TEST", "http://host/x")
    storage = Storage(root=dg.EnvVar("ROOT_OF_TEST"))
    with pytest.raises(dg.DagsterError) as raised:
        dg.materialize([rows], resources={"store": storage})
    assert "begins with 'http:'" in str(raised.value.__cause__)
