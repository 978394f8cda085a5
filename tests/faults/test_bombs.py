"""Files that unfold to far more than they are: refused before they do."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_assets.sources.folder.parquet_pages import unpacked_size
from support.synthetic import rows

HERE = Path(__file__).parent


def read_apart(pattern: Path, batch: str, **limits: float) -> tuple[str, float]:
    """What a process of its own says of a batch, and by how many MB its peak of memory grew."""
    command = [sys.executable, str(HERE / "peak_memory.py"), str(pattern), batch, json.dumps(limits)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    found = json.loads(done.stdout)
    return found["said"], found["grew"]


CAP = 150.0
"""MB by which memory may grow while a bomb is refused; each of them unfolds to hundreds."""


@pytest.mark.fault(17)
@pytest.mark.parametrize(
    ("line", "says"), [(b"1,2\n" * 250_000, "unpacks to more than 100.0 MB"), (b"0" * 1_000_000, "more than 1 MB")]
)
def test_a_gzip_bomb_is_refused_before_it_unfolds(line, says, tmp_path):
    with gzip.open(tmp_path / "bomb.csv.gz", "wb") as file:
        file.write(b"x,y\n")
        for _ in range(300):
            file.write(line)
    assert (tmp_path / "bomb.csv.gz").stat().st_size < 3e6
    said, grew = read_apart(tmp_path / "*.csv.gz", "bomb", max_unpacked_mb=100, max_rows=10**9)
    assert says in said and grew < CAP


@pytest.mark.fault(18)
def test_a_parquet_bomb_is_refused_before_it_unfolds(tmp_path):
    zeros = pa.array(np.zeros(2_000_000, dtype="int64"))
    pq.write_table(pa.table({f"c{number}": zeros for number in range(60)}), tmp_path / "bomb.parquet")
    assert (tmp_path / "bomb.parquet").stat().st_size < 1e6
    said, grew = read_apart(tmp_path / "*.parquet", "bomb", max_unpacked_mb=100)
    assert "unpacks to 960.0 MB; expected at most 100.0 MB" in said and grew < CAP
    said, grew = read_apart(tmp_path / "*.parquet", "bomb", max_rows=1_000_000)
    assert "has 2,000,000 rows; expected at most 1,000,000. Its footer says so" in said and grew < CAP


def varint(number: int, length: int = 0) -> bytes:
    """A number as a footer of parquet has it, in at least so many bytes."""
    number, found = number << 1, bytearray()
    while number > 0x7F or len(found) < length - 1:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def lying(path: Path, **lies: int) -> None:
    """Replace numbers in the footer of a file: those of `rows`, or of `bytes` that its column unpacks to."""
    content = path.read_bytes()
    begin = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    footer, about = content[begin:], pq.ParquetFile(path).metadata
    honest = {"rows": about.num_rows, "bytes": about.row_group(0).column(0).total_uncompressed_size}
    for what, lie in lies.items():
        said = varint(honest[what])
        assert said in footer
        footer = footer.replace(said, varint(lie, len(said)))
    path.write_bytes(content[:begin] + footer)


@pytest.mark.fault(18)
def test_a_parquet_bomb_whose_footer_lies_about_its_size_is_refused_before_it_unfolds(tmp_path):
    path = tmp_path / "bomb.parquet"
    long = pa.table({"x": ["z" * 5_000_000] * 100})
    pq.write_table(long, path, use_dictionary=False, compression="zstd", write_statistics=False)
    lying(path, bytes=800)
    assert path.stat().st_size < 1e5
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).total_uncompressed_size == 800
    said, grew = read_apart(tmp_path / "*.parquet", "bomb", max_unpacked_mb=100)
    assert "MB; expected at most 100.0 MB. Split the file" in said and grew < CAP


@pytest.mark.fault(18)
def test_of_a_parquet_bomb_whose_footer_lies_about_its_rows_no_more_unfolds(tmp_path):
    path = tmp_path / "bomb.parquet"
    pq.write_table(pa.table({"x": np.zeros(50_000_000, dtype="int64")}), path, row_group_size=50_000_000)
    lying(path, rows=100, bytes=800)
    assert pq.ParquetFile(path).metadata.num_rows == 100
    said, grew = read_apart(tmp_path / "*.parquet", "bomb", max_unpacked_mb=100)
    assert said == "" and grew < CAP


@pytest.mark.fault(18)
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_the_pages_of_an_honest_file_add_up_to_what_its_footer_says(version, dictionary, tmp_path):
    frame = rows(1, 5_000).assign(gaps=[None, 1.0] * 2_500, some=[[1, 2]] * 5_000)
    options = {"data_page_version": version, "use_dictionary": dictionary, "data_page_size": 4_000}
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "a.parquet", row_group_size=2_000, **options)
    footer = pq.ParquetFile(tmp_path / "a.parquet").metadata
    chunks = [footer.row_group(group).column(column) for group in range(3) for column in range(footer.num_columns)]
    told = sum(chunk.total_uncompressed_size for chunk in chunks)  # with the headers of the pages
    with (tmp_path / "a.parquet").open("rb") as stream:
        assert 0.8 * told < unpacked_size(stream, footer, 1e9) < told
        assert unpacked_size(stream, footer, 10) < 0.2 * told
