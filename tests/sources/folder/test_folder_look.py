import os
import time

import numpy as np
import pandas as pd
import pytest

from mlops_assets.errors import DeclarationError, SourceError
from mlops_assets.sources import Folder

GOOD = b"x,y\n1,2\n3,4\n"


def put(folder, name, content=GOOD):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def ready(source):
    return list(source.look(source.look({}).seen).ready)


@pytest.mark.fault(5)
def test_a_file_is_ready_once_it_was_the_same_twice(tmp_path):
    put(tmp_path, "a.csv", b"x,y\n")
    source = Folder(str(tmp_path / "*.csv"))
    first = source.look({})
    put(tmp_path, "a.csv", GOOD)
    second = source.look(first.seen)
    third = source.look(second.seen)
    assert [list(look.ready) for look in (first, second, third)] == [[], [], ["a"]]
    assert [look.waiting[0].reason for look in (first, second)] == [
        "new: read when the next look finds it unchanged",
        "changed since the last look",
    ]


def test_without_memory_a_file_must_have_been_quiet(tmp_path):
    put(tmp_path, "new.csv")
    os.utime(put(tmp_path, "old.csv"), (time.time() - 60,) * 2)
    look = Folder(str(tmp_path / "*.csv")).look()
    assert (list(look.ready), [waiting.name for waiting in look.waiting]) == (["old"], ["new.csv"])


@pytest.mark.fault(5)
def test_a_marker_makes_a_file_ready_at_once(tmp_path):
    put(tmp_path, "a.csv")
    put(tmp_path, "a.csv.done", b"")
    put(tmp_path, "b.csv")
    look = Folder(str(tmp_path / "*"), marker=True).look({})
    assert list(look.ready) == ["a.csv"]
    assert [(waiting.name, waiting.reason) for waiting in look.waiting] == [("b.csv", "there is no 'b.csv.done' yet")]


@pytest.mark.fault(23)
def test_the_mark_changes_with_a_replacement_of_the_same_size_and_time(tmp_path):
    path = put(tmp_path, "a.csv")
    os.utime(path, (1, 1))
    source = Folder(str(tmp_path / "*.csv"))
    before = source.look().ready["a"]
    put(tmp_path, "other", GOOD[::-1]).replace(path)
    os.utime(path, (1, 1))
    assert source.look().ready["a"] != before


def test_keys_come_from_names_in_natural_order_and_never_clash(tmp_path):
    for name in ("b-10.csv", "b-2.csv", "y=1/m=2/a.csv", "u/v.csv", "u--v.csv", ".hidden.csv"):
        put(tmp_path, name)
    keys = ready(Folder(str(tmp_path / "**" / "*.csv")))
    assert keys[:2] == ["b-2", "b-10"]
    assert "u--v" in keys
    assert len(keys) == 5


@pytest.mark.promise(8)
@pytest.mark.fault(27)
def test_ten_thousand_files_are_looked_at_without_being_opened(tmp_path):
    for number in range(10_000):
        os.mkfifo(tmp_path / f"{number}.csv")  # opening one would block for ever
    keys = ready(Folder(str(tmp_path / "*.csv")))
    assert keys == [str(number) for number in range(10_000)]


def test_a_folder_that_is_not_there_is_waited_for(tmp_path):
    look = Folder(str(tmp_path / "nowhere" / "*.csv")).look({})
    assert look.ready == {}
    assert look.waiting[0].reason == "the folder cannot be listed: No such file or directory"


def test_periods_are_batches_over_all_files(tmp_path):
    put(tmp_path, "a.csv", b"t,v\n2011-01-30,1\n2011-02-01,2\n")
    put(tmp_path, "b.csv", b"t,v\n2011-01-31,3\n2011-02-02,\n")
    source = Folder(str(tmp_path / "*.csv"), period="month").with_time("t")
    look = source.look(source.look({}).seen, now=pd.Timestamp("2011-02-03"))
    assert list(look.ready) == ["2011-01"]
    assert [(waiting.name, waiting.reason) for waiting in look.waiting] == [("2011-02", "period not over")]
    january = source.read("2011-01")
    assert january["v"].tolist() == [1, 3]
    assert january["v"].dtype == np.int64  # the missing value of February does not reach into January
    assert january["t"].tolist() == [pd.Timestamp("2011-01-30"), pd.Timestamp("2011-01-31")]


def test_a_period_is_read_from_parquet(tmp_path):
    frame = pd.DataFrame({"t": pd.date_range("2011-01-30", periods=4), "s": list("abcd")})
    frame.to_parquet(tmp_path / "a.parquet")
    source = Folder(str(tmp_path / "*.parquet"), period="month", time="t")
    assert ready(source) == ["2011-01", "2011-02"]
    assert source.read("2011-02")["s"].tolist() == ["c", "d"]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"t,v\n2011-01-30,1\nsoon,2\n", "holds 'soon' in data row 2"),
        (b"t,v\n2011-01-30,1\n,2\n", "is missing in data row 2"),
        (b"u,v\n1,2\n", r"has no column 't'; found \['u', 'v'\]"),
        (b"", r"is empty \(0 bytes\)"),
        (b"t,v\n", "has a header and no rows"),
    ],
)
def test_a_file_that_cannot_be_divided_is_a_batch_of_its_own(tmp_path, content, match):
    put(tmp_path, "bad.csv", content)
    put(tmp_path, "good.csv", b"t,v\n2011-01-30,1\n")
    source = Folder(str(tmp_path / "*.csv"), period="month", time="t")
    assert ready(source) == ["2011-01", "file-bad"]
    with pytest.raises(SourceError, match=match):
        source.read("file-bad")
    assert len(source.read("2011-01")) == 1


def test_a_batch_that_is_gone_says_so(tmp_path):
    with pytest.raises(SourceError, match="batch 'a': there is no such file; it was there before"):
        Folder(str(tmp_path / "*.csv")).read("a")


@pytest.mark.fault(69)
@pytest.mark.parametrize("path", ["http://x/y.csv", "s3:bucket", "file:///etc/passwd", "", "FILE:x"])
def test_only_paths_of_this_machine_and_of_object_stores_can_be_declared(path):
    with pytest.raises(DeclarationError, match=r"path: begins with|path: names no (files|bucket)"):
        Folder(path)


def test_a_misspelt_option_is_named():
    with pytest.raises(DeclarationError, match="has no field 'delimeter'; did you mean 'delimiter'"):
        Folder("x/*.csv", delimeter=";")
    with pytest.raises(DeclarationError, match=r"encoding: is not an encoding that Python knows.*got 'utf-9'"):
        Folder("x/*.csv", encoding="utf-9")
    with pytest.raises(DeclarationError, match="needs time"):
        Folder(__file__, period="day").look()


def test_a_folder_needs_a_path():
    with pytest.raises(DeclarationError, match="Folder: field 'path' is required"):
        Folder()


def test_described_in_a_sentence():
    assert Folder("d/*.csv").describe() == "Folder 'd/*.csv': each file is a batch."
    described = Folder("d/*.csv", period="week", time="t").describe()
    assert described == "Folder 'd/*.csv': all rows of one week of 't' are a batch."
