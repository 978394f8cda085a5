"""The storage under faults, on a folder, on S3 and on Azure Blob: real servers, killed, paused and started again."""

import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from mlops_assets.cli.doctor.storage import storage as doctors_findings
from mlops_assets.errors import MlopsAssetsError, StorageError
from mlops_assets.resources.storage import Storage, files
from support.servers.server import Server

pytestmark = pytest.mark.slow
FRAME = ("bikes", "dataset", "b1", "v1")


@dataclass(frozen=True)
class Place:
    """A storage and the server that it is on, None for a folder."""

    storage: Storage
    server: Server | None

    @property
    def secret(self) -> str:
        """The key of the server."""
        names = ("AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_ACCOUNT_KEY")
        return next(self.server.environment[name] for name in names if name in self.server.environment)


@pytest.fixture(params=["folder", "s3", "azure"])
def place(request, tmp_path) -> Place:
    if request.param == "folder":
        return Place(Storage(root=str(tmp_path / "store")), None)
    return _on(request.getfixturevalue(f"{request.param}_bucket"))


@pytest.fixture
def served(any_bucket) -> Place:
    return _on(any_bucket)


def _on(bucket) -> Place:
    return Place(Storage(root=f"{bucket.url}/of/mlops", database="$RECORDS"), bucket.server)


def numbers(rows: int = 1_000, columns: int = 3) -> pd.DataFrame:
    values = np.random.default_rng(0).normal(size=(rows, columns))
    return pd.DataFrame(values, columns=[f"c{number}" for number in range(columns)])


ODD = {
    "no rows": pd.DataFrame({"n": pd.Series(dtype="int64"), "text": pd.Series(dtype="str")}),
    "wide": numbers(20, 700),
    "large": numbers(900_000, 2),  # 14 MB: S3 takes it in parts
    "kinds": pd.DataFrame(
        {
            "é, 'quoted' \"name\"": ["", None, "x" * 100_000],
            "time": pd.to_datetime(["2024-03-31 01:59", None, "1900-01-01 00:00"]).tz_localize("Europe/Berlin"),
            "kind": pd.Categorical(["b", None, "a"], categories=["b", "a", "never"]),
            "count": pd.array([1, None, 2**60], dtype="Int64"),
            "number": [np.inf, np.nan, -0.0],
            "flag": pd.Series([True, None, False], dtype=object),
            "bytes": [b"\x00", None, b""],
        }
    ),
}


@pytest.mark.parametrize("odd", ODD)
def test_odd_frames_come_back_as_they_were(place, odd):
    frame = ODD[odd]
    told = place.storage.write_frame(*FRAME, frame)
    assert told == place.storage.frame_place(*FRAME) and told.endswith("/bikes/dataset/b1/v1.parquet")
    pd.testing.assert_frame_equal(place.storage.read_frame(*FRAME), frame)
    if len(frame.columns) and len(frame):
        some = list(frame.columns[-1:]), np.array([len(frame) - 1, 0])
        picked = frame[some[0]].iloc[some[1]].reset_index(drop=True)
        pd.testing.assert_frame_equal(place.storage.read_frame(*FRAME, *some), picked)
    if odd in ("large", "wide"):
        place.storage.write_chunks(*FRAME[:3], "v2", [frame.iloc[:7], frame.iloc[7:]])
        chunks = list(place.storage.frame_chunks(*FRAME[:3], "v2", rows_at_once=100_000))
        pd.testing.assert_frame_equal(pd.concat(chunks, ignore_index=True), frame)


def test_an_existing_version_is_left_as_it_is_and_what_is_missing_is_named(place):
    storage = place.storage
    assert not storage.has_frame(*FRAME) and storage.read_document("bikes", "manifests", "v1") is None
    with pytest.raises(MlopsAssetsError, match=r"version 'v1', is not stored at .*v1\.parquet: materialise"):
        storage.read_frame(*FRAME)
    storage.write_frame(*FRAME, numbers())
    storage.write_frame(*FRAME, numbers().head(1))
    assert storage.has_frame(*FRAME) and len(storage.read_frame(*FRAME)) == 1_000
    storage.write_document("bikes", "manifests", "v1", {"n": 1})
    storage.write_document("bikes", "manifests", "v1", {"n": 2})
    assert storage.read_document("bikes", "manifests", "v1") == {"n": 1}
    with pytest.raises(MlopsAssetsError, match=r"has no column \['gone'\]"):
        storage.read_frame(*FRAME, columns=["gone"])


@pytest.mark.fault(3)
def test_a_damaged_object_is_named_and_written_again(place):
    storage, frame = place.storage, numbers()
    told = storage.write_frame(*FRAME, frame)
    whole = files.read_bytes(told)
    for damaged in (b"", whole[: len(whole) // 2], b"PAR1 no parquet"):
        files.write_whole(told, lambda file, content=damaged: file.write(content))
        with pytest.raises(MlopsAssetsError, match=r"cannot be read .*materialise it again") as raised:
            storage.read_frame(*FRAME)
        assert not isinstance(raised.value, StorageError)
        storage.write_frame(*FRAME, frame)
        pd.testing.assert_frame_equal(storage.read_frame(*FRAME), frame)


def test_rows_that_fail_half_way_leave_nothing(place):
    def failing():
        yield numbers(900_000, 2)
        raise ValueError("half-way")

    with pytest.raises(ValueError, match="half-way"):
        place.storage.write_chunks(*FRAME, failing())
    folder = place.storage.frame_place(*FRAME).rpartition("/")[0]
    assert not place.storage.has_frame(*FRAME) and files.names_in(folder) == []


def _within(seconds: float, act: Callable[[], object]) -> str:
    """Return the message with which an act ends; fail if it takes longer or succeeds."""
    begin = time.monotonic()
    with pytest.raises(StorageError) as raised:
        act()
    assert time.monotonic() - begin < seconds
    return str(raised.value)


def _acts(storage: Storage) -> list[Callable[[], object]]:
    return [
        lambda: storage.has_frame(*FRAME),
        lambda: storage.read_frame(*FRAME),
        lambda: storage.read_document("bikes", "manifests", "v1"),
        lambda: storage.write_frame("bikes", "dataset", "b2", "v1", numbers()),
        lambda: next(storage.frame_chunks(*FRAME)),
    ]


@pytest.mark.fault(30)
@pytest.mark.parametrize("fault", ["stopped", "paused"])
def test_a_store_that_is_away_never_looks_like_one_without_the_frame(served, fault):
    storage = served.storage
    storage.write_frame(*FRAME, numbers())
    storage.write_document("bikes", "manifests", "v1", {"n": 1})
    (served.server.stop if fault == "stopped" else served.server.pause)()
    try:
        with ThreadPoolExecutor(5) as at_once:
            told = list(at_once.map(lambda act: _within(15, act), _acts(storage)))
    finally:
        (served.server.start if fault == "stopped" else served.server.resume)()
    assert all("the store does not answer; look at the server and the network" in message for message in told)
    assert not any(served.secret in message for message in told)
    assert storage.read_document("bikes", "manifests", "v1") == {"n": 1}
    pd.testing.assert_frame_equal(storage.read_frame(*FRAME), numbers())
    assert not storage.has_frame("bikes", "dataset", "b3", "v1")


@pytest.mark.fault(33)
def test_a_full_disk_leaves_no_object(place, tmp_path):
    # A limit on the size of files stands for a full disk. An upload is prepared in the temporary folder.
    program = """
        import resource, sys
        import numpy as np, pandas as pd
        from mlops_assets.errors import StorageError
        from mlops_assets.resources.storage import Storage
        frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=50_000)})
        storage = Storage(root=sys.argv[1], database="$RECORDS")
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            storage.write_frame("bikes", "dataset", "b1", "v1", frame)
        except StorageError as error:
            print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), place.storage.root]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "v1.parquet cannot be written: File too large. Look at space and rights" in done.stdout
    assert not place.storage.has_frame(*FRAME)
    assert files.names_in(place.storage.frame_place(*FRAME).rpartition("/")[0]) == []


@pytest.mark.fault(34)
@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGINT])  # a crash, and a run that a person terminates
def test_a_writer_ended_half_way_leaves_no_visible_object(place, ended_by):
    program = """
        import builtins, os, signal, sys, time
        import numpy as np, pandas as pd
        from mlops_assets.resources.storage import Storage, files

        # A runner of tests in the background of a shell lets its children ignore it.
        signal.signal(signal.SIGINT, signal.default_int_handler)

        def wait(*_):
            print("half-way", flush=True)
            time.sleep(600)

        class HalfRead:  # two parts of an upload, then nothing
            def __init__(self, *arguments):
                self.file, self.parts = builtins.open(*arguments), 0
            def __enter__(self):
                return self
            def __exit__(self, *_):
                self.file.close()
            def read(self, size):
                self.parts += 1
                return self.file.read(size) if self.parts < 3 else wait()

        files._PART = 6_000_000
        files.open = HalfRead
        files.os.replace = wait
        frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=3_000_000)})
        Storage(root=sys.argv[1], database="$RECORDS").write_frame("bikes", "dataset", "b1", "v1", frame)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), place.storage.root]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == "half-way\n"
        assert not place.storage.has_frame(*FRAME)
        writer.send_signal(ended_by)
    assert not place.storage.has_frame(*FRAME)
    frame = numbers()
    place.storage.write_frame(*FRAME, frame)
    pd.testing.assert_frame_equal(place.storage.read_frame(*FRAME), frame)
    folder = place.storage.frame_place(*FRAME).rpartition("/")[0]
    assert [name for name in files.names_in(folder) if not name.startswith(".")] == ["v1.parquet"]


@pytest.mark.fault(44)
def test_writers_of_one_version_at_once_leave_it_whole(place):
    frame = numbers(100_000)
    with ThreadPoolExecutor(4) as writers:
        told = set(writers.map(lambda _: place.storage.write_frame(*FRAME, frame), range(8)))
    assert told == {place.storage.frame_place(*FRAME)}
    pd.testing.assert_frame_equal(place.storage.read_frame(*FRAME), frame)
    assert files.names_in(place.storage.frame_place(*FRAME).rpartition("/")[0]) == ["v1.parquet"]


def _doctor(place: Place) -> tuple[str, str]:
    finding = next(iter(doctors_findings(place.storage.root)))
    assert place.server is None or place.secret not in f"{finding.found} {finding.mend}"
    return finding.severity, finding.found


def test_doctor_says_what_it_tested(place, monkeypatch):
    severity, found = _doctor(place)
    assert severity == "fine" and place.storage.root in found
    if place.server is None:
        assert "can be written to" in found
        return
    assert "an object was written, read back, listed and removed, in" in found and "GB free" not in found
    assert files.names_in(f"{place.storage.root}/doctor") == []
    monkeypatch.setenv("RECORDS", "sqlite:////home/ada/records.db")
    found = next(iter(doctors_findings(place.storage.root, place.storage.database)))
    assert (found.severity, found.found.partition(" is on")[2]) == ("advice", " an object store, its records in a file")


def test_doctor_names_a_store_that_loses_what_was_written(served, monkeypatch):
    def lost(place: str) -> bytes:
        raise FileNotFoundError(place)

    with monkeypatch.context() as patch:
        patch.setattr(files, "read_bytes", lost)
        assert _doctor(served) == (
            "fault",
            f"{served.storage.root}: an object that was just written is not there when it is read",
        )
        patch.setattr(files, "read_bytes", lambda place: b"older")
        assert "has another content when it is read" in _doctor(served)[1]
    monkeypatch.setattr(files, "names_in", lambda folder: [])
    assert "is not in the list of its folder" in _doctor(served)[1]


@pytest.mark.promise(7)
@pytest.mark.fault(64)
def test_doctor_names_wrong_credentials_a_missing_bucket_and_a_server_that_is_away(served, monkeypatch):
    import base64

    wrong = base64.b64encode(b"canary of a secret key").decode()
    for variable in ("AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_ACCOUNT_KEY"):
        monkeypatch.setenv(variable, wrong)
    severity, found = _doctor(served)
    assert severity == "fault" and "the store refuses the credentials of the environment" in found
    assert wrong not in found and "\n" not in found
    for variable, value in served.server.environment.items():
        monkeypatch.setenv(variable, value)
    if served.storage.root.startswith("abfs"):  # SeaweedFS makes the bucket by itself
        gone = Place(Storage(root="abfs://no-such-container/x", database="$RECORDS"), served.server)
        assert _doctor(gone) == (
            "fault",
            "abfs://no-such-container does not exist: make the bucket or container, or mend the root of the storage",
        )
    for variable in ("AWS_ENDPOINT_URL_S3", "AZURE_STORAGE_ENDPOINT"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    severity, found = _doctor(served)
    assert severity == "fault" and "the store does not answer" in found
