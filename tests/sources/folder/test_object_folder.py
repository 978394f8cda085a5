"""Objects are files like those of a folder: the same names, keys, order, markers, limits and reasons."""

import gzip
import os
import shutil
import tempfile
import threading
import time

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets.errors import DeclarationError, SourceError, SourceUnavailableError
from mlops_assets.sources import Folder, Limits, object_store
from mlops_assets.sources.folder import object_copy, opening
from mlops_assets.sources.folder.local_listing import list_local
from mlops_assets.sources.folder.object_listing import find_object, list_objects
from support.local_objects import store  # noqa: F401

GOOD = b"x,y\n1,2\n3,4\n"
NAMES = ["a.csv", "b-10.csv", "b-2.csv", ".hidden.csv", "a.csv.done", "a b.csv", "100%.csv", "a+b.csv", "h#x.csv"]
NAMES += ["\u00fc.csv", "y=1/m=2/a.csv", "u/v.csv", "u--v.csv", "u/.w/x.csv", "q?.csv", "[x].csv", "p.parquet/1.csv"]
GLOBS = ["*.csv", "**", "**/*.csv", "*/*.csv", "u/*.csv", "*/*/*", "y=*/**/*.csv", "?.csv", "[ab]*", "*", ".*"]
GLOBS += ["a.csv", "**/m=2/*", "*.parquet", "u/**/x.csv", ".h*", "**/.w/*.csv", "*/**", "a b.csv", "[[]x[]].csv"]


def same_look(files):
    return [(file.key, file.name, file.regular, file.done, file.unsafe, file.size * file.regular) for file in files]


def ready(source):
    return list(source.look(source.look({}).seen).ready)


def both(store, glob):  # noqa: F811
    """What a glob names, as files and as objects."""
    return list_local(str(store.folder / "bucket" / glob)), list_objects(store.url(glob))


@pytest.mark.fault(21)
@pytest.mark.parametrize("glob", GLOBS)
def test_a_glob_names_the_same_objects_as_files(store, glob):  # noqa: F811
    for name in NAMES:
        store.put(name, GOOD)
    (store.folder / "bucket" / "empty").mkdir()
    files, objects = both(store, glob)
    assert same_look(objects) == same_look(files)
    assert store.opened == []


PART = st.sampled_from(["a", "b", ".h", "a.csv", "x=1", "p.parquet", "a.csv.done", "2", "10", " ", "\u00e9", "%2F"])
SIGN = st.sampled_from(["*", "**", "a*", "?", ".*", "*.csv", "x=*", "a", "[ab]", "*.parquet", "1*"])


@settings(max_examples=60, deadline=None)
@given(
    names=st.lists(st.lists(PART, min_size=1, max_size=4).map("/".join), min_size=1, max_size=8),
    parts=st.lists(SIGN, min_size=1, max_size=4),
)
def test_any_glob_names_the_same_objects_as_files(names, parts):
    from support.local_objects import LocalObjects

    objects = LocalObjects(store_folder := _new_folder())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(object_store, "file_system", objects)
        for name in names:
            if not any((store_folder / "bucket" / name[:at]).is_file() for at in _slashes(name)):
                path = store_folder / "bucket" / name
                if not path.is_dir():
                    objects.put(name, GOOD)
        glob = "/".join(parts)
        try:
            files = list_local(str(store_folder / "bucket" / glob))
        except OSError:  # what a glob begins with without a wildcard is not there, or is a file
            return
        found = list_objects(objects.url(glob))
    assert same_look(found) == same_look(files)
    shutil.rmtree(store_folder)


def _new_folder():
    from pathlib import Path

    folder = Path(tempfile.mkdtemp())
    (folder / "bucket").mkdir()
    return folder


def _slashes(name):
    return [at for at, sign in enumerate(name) if sign == "/"]


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet"])
@pytest.mark.parametrize("period", [None, "month"])
def test_objects_are_read_as_files_are(store, suffix, period):  # noqa: F811
    frame = pd.DataFrame({"t": pd.to_datetime(["2011-01-30", "2011-01-31"]), "v": [1, 2]})
    path = store.put(f"bikes/a.{suffix}", b"")
    frame.to_parquet(path) if suffix == "parquet" else frame.to_csv(path, index=False)
    local = Folder(str(path.parent / f"*.{suffix}"), period=period, time="t")
    remote = Folder(store.url(f"bikes/*.{suffix}"), period=period, time="t")
    assert ready(remote) == ready(local) == (["a"] if period is None else ["2011-01"])
    pd.testing.assert_frame_equal(remote.read(ready(remote)[0]), local.read(ready(local)[0]))


@pytest.mark.parametrize("key", ["a", "b-1", "u--v", "h-x-", "missing"])
def test_an_object_is_asked_for_by_its_name_where_its_key_tells_it(store, monkeypatch, key):  # noqa: F811
    for name in ("a.csv", "b-1.csv", "u--v.csv", "h x.csv", "h#x.csv", "a.csv.done", "a"):
        store.put(name, GOOD)
    (file,) = [file for file in list_objects(store.url("*.csv")) if file.key.startswith(key)][:1] or [None]
    found = find_object(store.url("*.csv"), file.key if file else key)
    assert found == (file if key in ("a", "b-1", "u--v") else None)
    assert find_object(store.url("**/*.csv"), "a") is None and find_object(store.url("b*.csv"), "a") is None
    monkeypatch.setattr("mlops_assets.sources.folder.files.list_objects", lambda *_: [file] if file else [])
    source = Folder(store.url("*.csv"), limits=Limits(max_mb=1))
    if key == "missing":
        with pytest.raises(SourceError, match="there is no such file"):
            source.read("missing")
    elif key != "h-x-":
        monkeypatch.setattr("mlops_assets.sources.folder.files.list_objects", lambda *_: pytest.fail("listed"))
        assert len(source.read(key)) == 2


TIMES = {
    "of one month": pd.to_datetime(["2011-01-30", "2011-01-31"]),
    "of two months": pd.to_datetime(["2011-01-30", "2011-02-01"]),
    "with a zone": pd.to_datetime(["2011-01-31 22:00", "2011-01-31 23:00"]).tz_localize("America/New_York"),
    "in nanoseconds": pd.to_datetime(["2011-01-30", "2011-01-31"]).as_unit("ns"),
    "dates": [pd.Timestamp("2011-01-30").date(), pd.Timestamp("2011-01-31").date()],
    "text": ["2011-01-30", "2011-02-01"],
    "one missing": pd.to_datetime(["2011-01-30", None]),
    "none": pd.to_datetime([]),
    "numbers": [201101, 201102],
}


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("period", ["day", "month", "year"])
def test_the_footer_of_a_parquet_object_gives_the_periods_that_its_rows_do(store, times, period):  # noqa: F811
    path = store.put("a.parquet", b"")
    pd.DataFrame({"t": TIMES[times], "v": range(len(TIMES[times]))}).to_parquet(path)
    now = pd.Timestamp("2012-01-01")
    looks = []
    for place in (str(path), store.url("*.parquet")):
        source = Folder(place, period=period, time="t")
        looks.append(list(source.look(source.look({}, now).seen, now).ready))
    assert looks[0] == looks[1] != []


def test_a_period_copies_no_parquet_object_of_another_period(store, monkeypatch):  # noqa: F811
    for month in (1, 2, 3):
        times = pd.date_range(f"2011-0{month}-01", periods=20)
        pd.DataFrame({"t": times, "v": month}).to_parquet(store.put(f"{month}.parquet", b""))
    seen, copied = [], object_copy.copied
    monkeypatch.setattr(opening, "copied", lambda url, path, *more: seen.append(path) or copied(url, path, *more))
    frame = Folder(store.url("*.parquet"), period="month", time="t").read("2011-02")
    assert set(frame["v"]) == {2} and seen == ["bucket/2.parquet"]


@pytest.mark.fault(5)
def test_a_new_object_waits_for_the_next_look_or_for_its_marker(store):  # noqa: F811
    store.put("a.csv", GOOD)
    store.put("b.csv", GOOD)
    store.put("b.csv.done", b"")
    source = Folder(store.url("*.csv"))
    first = source.look({})
    assert (list(first.ready), [waiting.name for waiting in first.waiting]) == (["b"], ["a.csv"])
    assert list(source.look(first.seen).ready) == ["a", "b"]
    store.put("a.csv", GOOD * 2)
    assert list(source.look(first.seen).ready) == ["b"]


@pytest.mark.fault(1, 17, 18, 19, 21, 22)
@pytest.mark.parametrize(
    ("name", "content", "reason", "opened"),
    [
        ("a.csv", b"", r"is empty \(0 bytes\)", False),
        ("a.csv", b"x,y\n" + b"1,2\n" * 300_000, r"is too large \(1.2 MB\); expected at most 1.0 MB", False),
        ("a.csv.gz", gzip.compress(b"x,y\n" + b"0,1\n" * 2_000_000), "unpacks to more than 5.0 MB", True),
        ("a.parquet", b"PAR1 and no more", "is not a whole parquet file", True),
        ("-rf.csv", GOOD, "has an unsafe name", False),
        ("a.csv/b", GOOD, "is a directory; expected a regular file", False),
        ("a.txt", GOOD, "is of an unknown kind", False),
    ],
)
def test_a_faulty_object_is_refused_before_it_is_opened_where_it_can_be(store, name, content, reason, opened):  # noqa: F811
    store.put(name, content)
    source = Folder(store.url("*"), limits=Limits(max_mb=1, max_unpacked_mb=5))
    (key,) = ready(source)
    with pytest.raises(SourceError, match=reason) as raised:
        source.read(key)
    assert not isinstance(raised.value, SourceUnavailableError)
    assert bool(store.opened) is opened


@pytest.mark.fault(19)
def test_an_object_that_grew_since_it_was_listed_is_refused_unread(store):  # noqa: F811
    path = store.put("a.csv", GOOD)
    store.before_open = lambda _: path.write_bytes(b"x,y\n" + b"1,2\n" * 300_000)
    with pytest.raises(SourceError, match="is too large"):
        Folder(store.url("*"), limits=Limits(max_mb=1)).read("a.csv")


@pytest.mark.fault(26)
def test_an_object_that_is_replaced_while_it_is_read_is_read_again_later(store):  # noqa: F811
    path = store.put("a.csv", GOOD)
    store.before_open = lambda _: path.write_bytes(GOOD * 2) if store.opened else None
    source = Folder(store.url("*.csv"))
    with pytest.raises(SourceUnavailableError, match=r"a.csv: was replaced while it was read; it is read again"):
        source.read("a")
    store.before_open = lambda _: None
    assert len(source.read("a")) == 5


@pytest.mark.fault(25)
def test_an_object_that_is_gone_says_so(store):  # noqa: F811
    path = store.put("a.csv", GOOD)
    store.put("b.csv", GOOD)
    source = Folder(store.url("*.csv"))
    store.before_open = lambda _: path.unlink()
    with pytest.raises(SourceError, match="there is no such object"):
        source.read("a")
    with pytest.raises(SourceError, match="batch 'a': there is no such file; it was there before"):
        source.read("a")


def test_a_folder_without_objects_is_waited_for(store):  # noqa: F811
    look = Folder(store.url("nowhere/*.csv")).look({})
    assert (look.ready, look.listed) == ({}, False)
    assert look.waiting[0].reason == "the folder cannot be listed: there is nothing below 'bucket/nowhere'"
    with pytest.raises(SourceError, match="cannot be listed"):
        Folder(store.url("nowhere/*.csv")).read("a")


def test_a_full_disk_is_not_the_fault_of_the_object(store, monkeypatch):  # noqa: F811
    store.put("a.csv", GOOD)
    monkeypatch.setattr(tempfile, "tempdir", "/proc/self/fdinfo")
    with pytest.raises(SourceUnavailableError, match=r"cannot be copied to the folder for temporary files.*TMPDIR"):
        Folder(store.url("*.csv")).read("a")


def test_a_copy_leaves_nothing_behind(store, tmp_path, monkeypatch):  # noqa: F811
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    store.put("a.csv", GOOD)
    store.put("bad.csv", b"\0")
    source = Folder(store.url("*.csv"))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        source.read("a")
        with pytest.raises(SourceError):
            source.read("bad")
    assert os.listdir(tmp_path / "temporary") == [] and len(os.listdir("/proc/self/fd")) <= before + 2


def test_a_long_object_is_copied_in_parts(store, monkeypatch):  # noqa: F811
    monkeypatch.setattr(object_copy, "_PART", 1_000)
    content = b"x,y\n" + b"1,2\n" * 1_000
    store.put("a.csv", content)
    assert len(Folder(store.url("*.csv")).read("a")) == 1_000


# A store that does not answer


@pytest.mark.fault(69)
def test_a_store_without_an_answer_is_given_up_and_left_alone_for_a_while(store, monkeypatch):  # noqa: F811
    store.put("a.csv", GOOD)
    source, comes_back = Folder(store.url("*.csv")), threading.Event()
    store.before_open = lambda _: comes_back.wait()
    monkeypatch.setattr("mlops_assets.sources.object_store.ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(object_copy, "_opened", lambda url, fs, path: object_store.answer(url, comes_back.wait, 0.2))
    begin = time.monotonic()
    with pytest.raises(SourceUnavailableError, match=r"s3://bucket did not answer within 0 s"):
        source.read("a")
    with pytest.raises(SourceUnavailableError, match=r"Folder 's3://.*csv': s3://bucket did not answer just bef"):
        source.look({})
    assert time.monotonic() - begin < 5
    comes_back.set()
    assert object_store._silent["s3://bucket"][0].ended(60)
    monkeypatch.setattr(object_store, "_ALONE_SECONDS", 0.0)
    assert list(source.look({}).seen) == ["a"]


@pytest.mark.fault(64)
def test_what_a_store_says_is_shown_without_secrets(store, monkeypatch):  # noqa: F811
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-of-s3")

    def refused():
        raise OSError("AWS Error ACCESS_DENIED canary-of-s3 in https://x/y?sig=canary-of-sas&X-Amz-Signature=canary")

    with pytest.raises(SourceUnavailableError, match="ACCESS_DENIED") as raised:
        object_store.answer("s3://bucket/*.csv", refused)
    assert "canary" not in str(raised.value) and raised.value.__cause__ is None


# What may be declared


@pytest.mark.fault(63, 64, 69)
@pytest.mark.parametrize(
    ("path", "match"),
    [
        ("http://x/y.csv", "path: begins with 'http:'; expected a path of this machine"),
        ("file:///etc/passwd", "path: begins with 'file:'"),
        ("s3://key:canary@bucket/*.csv", "has options or credentials in its URL"),
        ("s3://canary@bucket/*.csv", "has options or credentials in its URL"),
        ("abfs://box:canary@account.dfs.core.windows.net/*.csv", "has options or credentials"),
        ("s3://bucket/a.csv?X-Amz-Signature=canary", "has options behind a '[?]'"),
        ("s3://bucket#canary/a.csv", "has options or credentials"),
        ("s3://", "names no bucket"),
        ("s3:bucket/*.csv", "names no bucket"),
        ("s3:///*.csv", "names no bucket"),
        ("s3://buck*t/a.csv", "names no bucket"),
        ("s3://bucket", "names no files"),
        ("s3://bucket/", "names no files"),
    ],
)
def test_a_url_that_cannot_be_a_folder_is_refused_when_it_is_declared(path, match):
    with pytest.raises(DeclarationError, match=match) as raised:
        Folder(path)
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    "path",
    [
        "s3://b/*.csv",
        "gs://b/**",
        "abfs://c/a?.csv",
        "abfss://c@account.dfs.core.windows.net/x/*",
        "s3://b/y=?/#1/*.csv",
    ],
)
def test_a_folder_of_a_store_is_declared_without_contact(path, monkeypatch):
    monkeypatch.setattr(object_store, "file_system", lambda _: pytest.fail("contacted"))
    assert Folder(path).title == f"Folder {path!r}"
