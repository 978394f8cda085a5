"""What counts as a change of a file: a replacement does, a copy of the whole folder does not."""

import os
import shutil
from dataclasses import replace

import pandas as pd
import pytest

from mlops_assets.sources import Folder
from mlops_assets.sources.folder.local_listing import list_local
from mlops_assets.sources.folder.marks import Mark, mark_of_all
from mlops_assets.sources.source import Known

ROWS = b"t,v\n2011-01-30,1\n2011-02-01,2\n"
OTHER = ROWS.replace(b",2\n", b",3\n")
NOW = pd.Timestamp("2012-01-01")
PERIODS = [None, "month"]


@pytest.fixture
def landing(tmp_path):
    folder = tmp_path / "landing"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.csv").write_bytes(ROWS)
        os.utime(folder / f"{name}.csv", (1_700_000_000.25, 1_700_000_000.25))
    return folder


def source_of(folder, period=None):
    return Folder(str(folder / "*.csv"), period=period, time="t")


def taken_in(source):
    """The marks that are recorded once all batches were taken in, and what the cursor keeps."""
    nothing = Known(marks={}, tried={}, asked=tuple, seen={})
    first = source.look({}, NOW)
    seen, rest = source.keep(first, nothing)
    again = source.look(source.recall(replace(nothing, seen=seen, rest=rest)), NOW)
    seen, rest = source.keep(again, replace(nothing, marks=again.ready))
    return Known(marks=again.ready, tried={}, asked=tuple, seen=seen, rest=rest)


def looked_at(source, known):
    return source.look(source.recall(known), NOW)


def put_in_place(path, content):
    """A file of the same size and time, put in place of another."""
    status = path.stat()
    new = path.with_suffix(".new")
    new.write_bytes(content)
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
    new.replace(path)


@pytest.mark.parametrize("period", PERIODS)
def test_a_copy_of_the_folder_that_keeps_times_is_not_changed(landing, tmp_path, period):
    known = taken_in(source_of(landing, period))
    assert len(known.marks) == 2
    shutil.copytree(landing, tmp_path / "copy")
    look = looked_at(source_of(tmp_path / "copy", period), known)
    assert (look.ready, look.waiting) == (known.marks, ())


def test_a_copy_that_keeps_whole_seconds_of_the_times_is_not_changed(landing, tmp_path):
    known = taken_in(source_of(landing))
    shutil.copytree(landing, tmp_path / "copy")
    for path in (tmp_path / "copy").iterdir():
        os.utime(path, (1_700_000_000, 1_700_000_000))
    assert looked_at(source_of(tmp_path / "copy"), known).ready == known.marks


@pytest.mark.fault(23)
@pytest.mark.parametrize("period", PERIODS)
def test_a_file_put_in_place_of_one_of_its_size_and_time_is_changed(landing, period):
    source = source_of(landing, period)
    known = taken_in(source)
    put_in_place(landing / "a.csv", OTHER)
    look = looked_at(source, known)
    changed = {key for key in look.ready if look.ready[key] != known.marks[key]}
    if period is None:
        assert changed == set() and [waiting.name for waiting in look.waiting] == ["a.csv"]
        known = replace(known, seen=source.keep(look, known)[0])
        look = looked_at(source, known)
        assert {key for key in look.ready if look.ready[key] != known.marks[key]} == {"a"}
    else:
        assert changed == {"2011-01", "2011-02"}


@pytest.mark.parametrize("period", PERIODS)
def test_a_file_with_another_time_is_changed_in_a_copy_too(landing, tmp_path, period):
    known = taken_in(source_of(landing, period))
    shutil.copytree(landing, tmp_path / "copy")
    os.utime(tmp_path / "copy" / "a.csv", (1_700_000_007, 1_700_000_007))
    source = source_of(tmp_path / "copy", period)
    look = looked_at(source, known)
    known = replace(known, seen=source.keep(look, known)[0])
    look = looked_at(source, known)
    changed = {key for key in look.ready if look.ready[key] != known.marks[key]}
    assert changed == ({"a"} if period is None else {"2011-01", "2011-02"})


@pytest.mark.parametrize("period", PERIODS)
def test_marks_that_earlier_releases_recorded_are_kept(landing, period):
    source = source_of(landing, period)
    files = list_local(source.path)
    former = {file.key: file.mark.former for file in files}
    assert all(len(mark) == 16 for mark in former.values())
    if period is not None:
        mark = mark_of_all((file.key, file.mark) for file in files).former
        former = dict.fromkeys(("2011-01", "2011-02"), mark)
    files_seen = {} if period is None else {file.key: file.mark.former for file in files}
    look = looked_at(source, Known(marks=former, tried={}, asked=tuple, seen=files_seen))
    assert (look.ready, look.waiting) == (former, ())


def test_the_marks_of_earlier_releases_are_computed_as_they_were(landing):
    from mlops_assets.sources.keys import short_digest

    status = (landing / "a.csv").stat()
    written = short_digest(f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}")
    assert list_local(str(landing / "a.csv"))[0].mark.former == written


@pytest.mark.parametrize("recorded", ["", ".", "..", "c", "c.p", "c.p.x", "x.p.l", "f.p", "c.p.l.m", "batch"])
def test_a_mark_of_another_kind_is_no_error(recorded):
    mark = Mark(content="c", place="p", local="l", former="f")
    assert mark.is_of(recorded) is (recorded == "c")
    assert mark.settled(recorded) == ("c" if recorded == "c" else "c.p.l")
    assert mark.settled("f") == "f" and mark.settled("c.other.x") == "c.other.x" and mark.settled(None) == "c.p.l"
