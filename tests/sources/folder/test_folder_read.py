"""Each fault of a file is refused with its reason, and holds up no other file."""

import gzip
import os

import pandas as pd
import pytest

from mlops_assets.errors import DeclarationError, SourceError
from mlops_assets.sources import Folder, Limits

GOOD = b"x,y\n1,2\n3,4\n"

CSV_FAULTS = {
    "empty": (b"", r"is empty \(0 bytes\); expected a header and rows. Replace the file"),
    "blank": (b"\n\n", "holds blank lines only"),
    "cut": (b"x,y\n1,2\n3", "is cut in mid-line: the last line has 1 of 2 fields"),
    "open-quote": (b'x,y\n1,"a\n2,3\n', "EOF inside string"),
    "long-row": (b"x,y\n1,2\n3,4,5\n", "Expected 2 fields in line 3, saw 3"),
    "long-first-row": (b"x,y\n1,2,3\n4,5\n", "has rows with more fields than the header"),
    "latin": ("x,y\n1,2\ncaf\u00e9,4\n".encode("latin-1"), r"is not utf-8-sig \(byte 0xe9 at offset 11, line 3\)"),
    "utf16": ("x,y\n1,2\n".encode("utf-16"), "begins like text in UTF-16"),
    "nul": (b"x,y\n1,2\n\0,4\n", r"holds a NUL byte \(line 3\)"),
    "semicolon": (b"x;y\n1;2\n", "2 when cut at ';' .semicolon.. Declare delimiter=';'"),
    "title": (b"Rentals,,\nday,station,y\n1,2,3\n", "has a title as its first line .'Rentals'.*Remove the lines above"),
    "titled": (b"Rentals of May\n\nday,y\n1,2\n", "has a title as its first line .'Rentals of May'.*'day', 'y', .."),
    "titled-semicolon": (b"Rentals\nday;y\n1;2\n", "Remove the lines above them, and declare delimiter=';'"),
    "repeated": (b"x,x\n1,2\n", "names a column twice: 'x'"),
    "zip": (b"PK\x03\x04 and more", "begins like a zip archive"),
    "wide": (b",".join(b"c%d" % n for n in range(50)) + b"\n", "has 50 columns; expected at most 20"),
    "long": (b"x,y\n" + b"1,2\n" * 600, "has more than 500 rows; expected at most 500"),
    "large": (b"x,y\n" + b'1,"2\n"\n' * 400_000, r"is too large \(2.8 MB\); expected at most 1.0 MB"),
}
SMALL = Limits(max_mb=1, max_rows=500, max_columns=20, max_unpacked_mb=5)


@pytest.mark.promise(4)
@pytest.mark.fault(1, 4, 16, 19)
@pytest.mark.parametrize("name", CSV_FAULTS)
def test_a_faulty_csv_is_refused_and_the_others_are_read(tmp_path, name):
    content, match = CSV_FAULTS[name]
    (tmp_path / f"{name}.csv").write_bytes(content)
    (tmp_path / "sound.csv").write_bytes(GOOD)
    source = Folder(str(tmp_path / "*.csv"), limits=SMALL)
    assert set(source.look(source.look({}).seen).ready) == {name, "sound"}
    with pytest.raises(SourceError, match=rf"batch '{name}': {name}.csv: .*{match}"):
        source.read(name)
    assert source.read("sound").to_dict("list") == {"x": [1, 3], "y": [2, 4]}


@pytest.mark.fault(16)
@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"x,y\n", 0),
        (b"\xef\xbb\xbfx,y\n1,2", 1),
        (b"x,y\r\n1,2\r\n", 1),
        (b"x,y\r1,2\r3,4\r", 2),
        (b'x,y\n1,"a\nb"', 1),
        (b"x,y\n1\n2,3\n", 2),
        (b"x\n1\n", 1),
    ],
)
def test_odd_but_sound_files_are_read(tmp_path, content, rows):
    (tmp_path / "a.csv").write_bytes(content)
    frame = Folder(str(tmp_path / "*.csv")).read("a")
    assert len(frame) == rows
    assert frame.columns[0] == "x"


@pytest.mark.parametrize(
    "content", [b",,x\n0,1,5\n0,2,6\n", b",x\na,b\nc,d\n", b"x\na;b\nc\n", b"x,y,,,\na,b,,,\nc,d,,,\n"]
)
def test_header_without_some_names_is_no_title(tmp_path, content):
    (tmp_path / "a.csv").write_bytes(content)
    assert len(Folder(str(tmp_path / "*.csv")).read("a")) == 2


def test_what_is_declared_of_a_csv_is_obeyed(tmp_path):
    (tmp_path / "a.csv").write_bytes("id;v;t\n007;\u00e9;2011-01-02\n8;-;2011-01-03\n".encode("cp1252"))
    options = {"encoding": "cp1252", "delimiter": ";", "na_values": ["-"], "dtypes": {"id": "str"}, "time": "t"}
    frame = Folder(str(tmp_path / "*.csv"), **options).read("a")
    assert frame["id"].tolist() == ["007", "8"]
    assert frame["v"].isna().tolist() == [False, True]
    assert frame["t"].max() == pd.Timestamp("2011-01-03")


def test_a_declared_dtype_that_does_not_fit_is_named(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"x\nabc\n")
    with pytest.raises(SourceError, match="could not convert string to float: 'abc'"):
        Folder(str(tmp_path / "*.csv"), dtypes={"x": "float64"}).read("a")


@pytest.mark.fault(17)
@pytest.mark.parametrize(
    ("content", "match"),
    [
        (gzip.compress(b"x,y\n" + (b"0" * 90_000 + b",1\n") * 90), "unpacks to more than 5.0 MB"),
        (gzip.compress(b"x,y\n" + b"0" * 8_000_000), "has a row of more than 1 MB after line 1; expected less"),
        (gzip.compress(b"x" * 8_000_000), "has a first line of more than 1 MB"),
        (gzip.compress(b'x,y\n1,"' + b"a\n" * 2_000_000 + b'"\n'), "has a quoted value of more than 1 MB after line 1"),
        (gzip.compress(b'x,y\n1,"' + b'""' * 1_000_000 + b'"\n'), "has a quoted value of more than 1 MB after line 1"),
        (gzip.compress(os.urandom(10_000))[:5_000], "is not a whole gzip file"),
        (GOOD, "is not a whole gzip file"),
        (gzip.compress(b"", mtime=0), "unpacks to nothing"),
    ],
)
def test_a_faulty_gzip_is_refused(tmp_path, content, match):
    (tmp_path / "a.csv.gz").write_bytes(content)
    with pytest.raises(SourceError, match=match):
        Folder(str(tmp_path / "*.csv.gz"), limits=SMALL).read("a")


def test_gzip_and_plain_files_give_the_same(tmp_path):
    (tmp_path / "a.csv").write_bytes(GOOD)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(GOOD))
    plain, zipped = (Folder(str(tmp_path / pattern)).read("a") for pattern in ("*.csv", "*.csv.gz"))
    pd.testing.assert_frame_equal(plain, zipped)


def test_parquet_is_read_as_plain_columns(tmp_path):
    frame = pd.DataFrame({"s": pd.Categorical(["b", "a", None]), "v": [1, 2, 3]}, index=[5, 6, 7])
    frame.to_parquet(tmp_path / "a.parquet")
    read = Folder(str(tmp_path / "*.parquet")).read("a")
    assert list(read.columns) == ["s", "v"]
    assert read["s"].dropna().tolist() == ["b", "a"]
    assert not isinstance(read["s"].dtype, pd.CategoricalDtype)


@pytest.mark.fault(3)
@pytest.mark.parametrize("damage", [lambda b: b[:-50], lambda b: b"no data", lambda b: b[:100] + bytes(300) + b[400:]])
def test_a_damaged_parquet_is_refused(tmp_path, damage):
    path = tmp_path / "a.parquet"
    pd.DataFrame({"x": range(400), "s": [f"{n}abc" for n in range(400)]}).to_parquet(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SourceError, match="is not a whole parquet file"):
        Folder(str(tmp_path / "*.parquet")).read("a")


@pytest.mark.fault(18)
def test_parquet_bombs_are_refused_before_they_unfold(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.DictionaryArray.from_arrays(pa.array([0] * 400_000, pa.int32()), pa.array(["z" * 100_000]))
    pq.write_table(pa.table({"s": text}), tmp_path / "text.parquet")
    zeros = pa.array([0] * 2_000_000)
    pq.write_table(pa.table({f"c{n}": zeros for n in range(10)}), tmp_path / "zeros.parquet")
    source = Folder(str(tmp_path / "*.parquet"), limits=Limits(max_unpacked_mb=100))
    with pytest.raises(SourceError, match=r"unpacks to 40,0\d\d.\d MB; expected at most 100.0 MB"):
        source.read("text")
    with pytest.raises(SourceError, match=r"unpacks to 160.0 MB"):
        source.read("zeros")
    with pytest.raises(
        SourceError, match=r"has 400,000 rows; expected at most 500\. Its footer says so: split the file"
    ):
        Folder(str(tmp_path / "*.parquet"), limits=Limits(max_rows=500)).read("text")


@pytest.mark.fault(20, 22)
def test_what_is_no_file_of_the_folder_is_refused_unopened(tmp_path):
    landing = tmp_path / "landing"
    (landing / "dir.csv").mkdir(parents=True)
    (tmp_path / "secret.csv").write_bytes(GOOD)
    os.mkfifo(landing / "pipe.csv")
    (landing / "out.csv").symlink_to(tmp_path / "secret.csv")
    (landing / "dots.csv").symlink_to("../secret.csv")
    (landing / "device.csv").symlink_to("/dev/zero")
    (landing / "broken.csv").symlink_to(landing / "nothing")
    (landing / "real.csv").write_bytes(GOOD)
    (landing / "inside.csv").symlink_to(landing / "real.csv")
    source = Folder(str(landing / "*.csv"))
    assert len(source.look(source.look({}).seen).ready) == 8
    for key, match in {
        "dir": "is a directory",
        "pipe": "is a named pipe",
        "out": "is a link that leads out of its folder",
        "dots": "is a link that leads out of its folder",
        "device": "is a link that leads out of its folder",
        "broken": "cannot be opened",
    }.items():
        with pytest.raises(SourceError, match=match):
            source.read(key)
    assert len(source.read("inside")) == 2


@pytest.mark.fault(20)
def test_a_linked_directory_that_leads_out_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.csv").write_bytes(GOOD)
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "sub").symlink_to(tmp_path / "elsewhere")
    source = Folder(str(tmp_path / "landing" / "*" / "*.csv"))
    (key,) = source.look(source.look({}).seen).ready
    with pytest.raises(SourceError, match="leads out of its folder"):
        source.read(key)


@pytest.mark.promise(7)
@pytest.mark.fault(21)
@pytest.mark.parametrize("name", ["-rf.csv", "a\nb.csv", "n" * 200 + ".csv", "\u0430.csv", "a b.csv"])
def test_unsafe_names_are_refused_and_shown_escaped(tmp_path, name):
    (tmp_path / name).write_bytes(GOOD)
    source = Folder(str(tmp_path / "*.csv"))
    (key,) = source.look(source.look({}).seen).ready
    with pytest.raises(SourceError, match="has an unsafe name") as raised:
        source.read(key)
    assert "\n" not in str(raised.value)


def test_decimal_commas_thousands_and_texts_of_missing_are_declared(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"price;code;n\n1.234,5;NA;1\n2,5;None;\n")
    declared = {"delimiter": ";", "decimal": ",", "thousands": ".", "keep_default_na": False}
    frame = Folder(str(tmp_path / "*.csv"), **declared).read("a")
    assert frame["price"].tolist() == [1234.5, 2.5]
    assert frame["code"].tolist() == ["NA", "None"]
    assert frame["n"].tolist()[0] == 1.0 and frame["n"].isna().tolist() == [False, True]
    default = Folder(str(tmp_path / "*.csv"), delimiter=";").read("a")
    assert default["price"].tolist() == ["1.234,5", "2,5"] and default["code"].isna().all()


def test_marks_that_are_alike_are_refused_when_declared():
    with pytest.raises(DeclarationError, match="delimiter ',', decimal ',' and thousands None need to differ"):
        Folder("x/*.csv", decimal=",")


@pytest.mark.parametrize("first", [b"sep=;\n", b"sep=;\r\n", b'\xef\xbb\xbf"sep=;"\n'])
@pytest.mark.parametrize("period", [None, "day"])
def test_the_line_that_excel_writes_first_names_the_delimiter(tmp_path, first, period):
    (tmp_path / "a.csv").write_bytes(first + b"t;x\n2024-01-31;1\n2024-01-31;2\n")
    frame = Folder(str(tmp_path / "*.csv"), period=period, time="t").read("2024-01-31" if period else "a")
    assert frame.columns.tolist() == ["t", "x"] and frame["x"].tolist() == [1, 2]


@pytest.mark.parametrize("text", ["01/02/2024", "1.2.2024", "03-04-2024 10:00", "13/02/24"])
@pytest.mark.parametrize("period", [None, "month"])
def test_a_date_that_can_be_read_in_two_ways_is_refused(tmp_path, text, period):
    (tmp_path / "a.csv").write_text(f"t,x\n{text},1\n")
    source = Folder(str(tmp_path / "*.csv"), time="t", period=period)
    with pytest.raises(SourceError, match=r"in data row 1, which can be read in two ways, by month or by day first"):
        source.read("file-a" if period else "a")


@pytest.mark.parametrize(("written", "month"), [("%d/%m/%Y", 2), ("%m/%d/%Y", 1)])
def test_a_declared_format_of_time_is_the_one_that_is_read(tmp_path, written, month):
    (tmp_path / "a.csv").write_text("t,x\n01/02/2024,1\n")
    frame = Folder(str(tmp_path / "*.csv"), time="t", time_format=written).read("a")
    assert frame["t"].tolist() == [pd.Timestamp(2024, month, 3 - month)]
    with pytest.raises(SourceError, match="which is not a time of the format '%Y'; expected one format"):
        Folder(str(tmp_path / "*.csv"), time="t", time_format="%Y").read("a")


def test_a_day_beyond_the_twelfth_is_read_in_the_one_way_there_is(tmp_path, capfd):
    (tmp_path / "a.csv").write_text("t,x\n13/02/2024,1\n14/02/2024,1\n")
    frame = Folder(str(tmp_path / "*.csv"), time="t").read("a")
    assert frame["t"].tolist() == [pd.Timestamp("2024-02-13"), pd.Timestamp("2024-02-14")]
    assert capfd.readouterr().err == ""
