"""Faults of files: cut, replaced, bombs, repeated keys, a full disk; one training for each content, others go on."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_assets import Folder
from mlops_assets.errors import SourceError
from mlops_assets.sources.folder.parquet_pages import unpacked_size
from support.deployment import DeployedModel, Deployment, failed
from support.sensed import Project, ridge
from support.synthetic import rows

HERE = Path(__file__).parent


@pytest.fixture
def landing(tmp_path) -> Path:
    (tmp_path / "landing").mkdir()
    return tmp_path / "landing"


@pytest.fixture
def project(deployment, name, landing) -> Project:
    return Project(deployment, ridge(name, Folder(str(landing / "*.csv"))))


def land(landing: Path, batch: str, frame: pd.DataFrame) -> Path:
    """A file that is there at once."""
    path = landing / f"{batch}.csv"
    frame.to_csv(path.with_suffix(".part"), index=False)
    return path.with_suffix(".part").replace(path)


def settle(project: Project) -> list[str]:
    """Ticks with their runs until none asks for anything; the batches asked for."""
    asked = []
    project.tick()
    while found := project.take_in():
        asked += found
        assert len(asked) < 50, asked
    return asked


def trained_on(project: Project) -> list[str]:
    """The data versions of all versions of the model, oldest first."""
    registry = project.resources["mlflow_registry"]
    return [version.tags["data_version"] for version in reversed(registry.versions(project.model.name))]


# Cut files


@pytest.mark.fault(4)
def test_a_csv_cut_at_any_byte_of_a_line_is_refused_or_is_a_whole_line(landing):
    content = rows(1, 5).to_csv(index=False).encode()
    begins = content[:-1].rfind(b"\n") + 1
    last_field = content.rfind(b",")
    source = Folder(str(landing / "*.csv"))
    said = {}
    for end in range(begins + 1, len(content)):
        (landing / "cut.csv").write_bytes(content[:end])
        try:
            said[end] = len(source.read("cut"))
        except SourceError as error:
            said[end] = str(error)
    refused = [end for end, found in said.items() if "is cut in mid-line: the last line has" in str(found)]
    assert refused == list(range(begins + 1, last_field + 1))
    assert [said[end] for end in range(last_field + 2, len(content))] == [5] * (len(content) - last_field - 2)


@pytest.mark.fault(4)
def test_a_csv_that_is_cut_in_its_last_field_waits_for_its_marker_however_quiet_it_is(deployment, name, landing):
    project = Project(deployment, ridge(name, Folder(str(landing / "*.csv"), marker=True)))
    content = rows(1).to_csv(index=False).encode()
    (landing / "b1.csv").write_bytes(content[:-3])
    os.utime(landing / "b1.csv", (0, 0))
    assert [project.tick() for _ in range(4)] == [[]] * 4
    (landing / "b1.csv").write_bytes(content)
    (landing / "b1.csv.done").touch()
    assert project.take_in() == ["b1"]
    assert len(project.rows("b1")) == 60 and project.rows("b1")["bought"].iloc[-1] == rows(1)["bought"].iloc[-1]


@pytest.mark.fault(4)
def test_a_cut_batch_is_rejected_and_never_trained_on_until_it_is_whole(project, landing):
    for number in (1, 2):
        land(landing, f"b{number}", rows(number))
    whole = rows(3).to_csv(index=False)
    (landing / "b3.csv").write_text(whole[: whole.rindex(",") - 4])
    assert sorted(settle(project)) == ["b1", "b2", "b3"]
    assert project.became() == {"b1": "accepted", "b2": "accepted", "b3": "rejected"}
    reasons = project.ledger.get("b3").reasons
    assert len(reasons) == 1 and "is cut in mid-line: the last line has 6 of 7 fields and no newline" in reasons[0]
    assert project.train().success and len(trained_on(project)) == 1
    (landing / "b3.csv").write_text(whole)
    assert settle(project) == ["b3"] and project.became()["b3"] == "accepted"
    assert project.train().success and len(set(trained_on(project))) == 2


# Keys that come twice


@pytest.mark.fault(11)
def test_a_key_of_a_training_batch_that_comes_again_in_the_holdout_stops_the_training(deployment, name):
    model: DeployedModel = deployment.model(name)
    again = rows(3)
    again.loc[:4, "id"] = rows(1)["id"].head(5).to_numpy()
    model.prepare(b1=rows(1), b2=rows(2), b3=again)
    result = model.challenge()
    assert failed(result) == {"no_key_overlap": "5 keys are on both sides, such as {'id': '1000'}"}
    assert (model.registry.versions(model.name), model.champion()) == ([], None)
    model.prepare(b3=rows(3))
    assert model.challenge().success and model.champion() == 1


@pytest.mark.fault(11)
def test_training_set_and_holdout_of_a_champion_share_no_key(deployment, name):
    from mlops_assets.records.rows import read_holdout, read_manifest, read_train

    model: DeployedModel = deployment.model(name)
    model.prepare(b1=rows(1), b2=rows(2), b3=rows(3))
    assert not model.take_in(model.land("b4", pd.concat([rows(4), rows(4).head(1)]))).success
    assert "key_unique: 2 rows share their key 'id'" in "; ".join(model.record("b4").reasons)
    assert model.challenge().success
    manifest = read_manifest(model.records, model.registry.champion(model.name).tags["data_version"])
    train, holdout = (read(model.records, manifest) for read in (read_train, read_holdout))
    sides = [set(side.about["id"]) for side in (train, holdout)]
    assert [len(side) for side in sides] == [120, 60] and sides[0] & sides[1] == set()


# Bombs


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


# Files that are replaced


@pytest.mark.fault(23)
def test_a_file_replaced_by_one_of_its_size_and_time_is_a_new_data_version_and_trained_on_once(project, landing):
    texts = [rows(number).to_csv(index=False) for number in (2, 3)]
    longest = max(map(len, texts))
    texts = [text + "\n" * (longest - len(text)) for text in texts]
    land(landing, "b1", rows(1))
    path = landing / "b2.csv"
    versions = []
    for text in texts:
        (landing / "b2.part").write_text(text)
        os.utime(landing / "b2.part", (1_700_000_000, 1_700_000_000))
        (landing / "b2.part").replace(path)
        assert (path.stat().st_size, path.stat().st_mtime) == (longest, 1_700_000_000)
        assert "b2" in settle(project)
        versions.append(project.ledger.get("b2").version)
        for _ in range(2):  # the second finds what the first has trained
            assert project.train().success
    assert len(set(versions)) == 2
    assert len(trained_on(project)) == len(set(trained_on(project))) == 2


@pytest.mark.fault(26)
def test_a_file_replaced_between_tick_and_run_is_taken_in_as_what_it_holds_then(project, landing):
    land(landing, "b1", rows(1))
    land(landing, "b2", rows(2))
    settle(project)
    assert project.train().success
    land(landing, "b3", rows(3))
    project.tick()
    (request,) = project.tick()
    land(landing, "b3", rows(4))
    assert project.run(request).success
    assert project.rows("b3")["id"].tolist() == rows(4)["id"].tolist()
    asked = settle(project)  # the mark that the run was asked for is not the one of the file
    assert asked == ["b3"] and project.rows("b3")["id"].tolist() == rows(4)["id"].tolist()
    assert project.train().success and len(trained_on(project)) == 2


@pytest.mark.fault(26)
def test_a_file_replaced_by_a_bad_one_between_tick_and_run_is_rejected_and_the_champion_stays(project, landing):
    land(landing, "b1", rows(1))
    land(landing, "b2", rows(2))
    settle(project)
    assert project.train().success
    champion = project.resources["mlflow_registry"].champion(project.model.name)
    land(landing, "b3", rows(3))
    project.tick()
    (request,) = project.tick()
    land(landing, "b3", rows(3).drop(columns="x"))
    assert not project.run(request).success
    assert project.became()["b3"] == "rejected" and "missing: 'x'" in project.ledger.get("b3").reasons[0]
    settle(project)
    assert project.train().success and trained_on(project) == [champion.tags["data_version"]]
    assert project.resources["mlflow_registry"].champion(project.model.name) == champion


@pytest.mark.fault(26)
def test_rows_replaced_between_training_set_and_training_are_not_trained_on(deployment, name):
    model: DeployedModel = deployment.model(name)
    model.prepare(b1=rows(1), b2=rows(2), b3=rows(3))
    assert model.materialize("training_set").success
    before = model.shown("training_set")["version"]
    model.prepare(b2=rows(4))  # a new version beside the old one, whose rows stay
    assert model.materialize("challenger").success
    (version,) = model.registry.versions(model.name)
    assert version.tags["data_version"] == before
    assert model.challenge().success and len(model.registry.versions(model.name)) == 2


# A full disk

WITHIN_LIMIT = """
import resource, sys
from pathlib import Path
from support.deployment import Deployment, why
from test_files import heavy
from support.synthetic import rows
model = heavy(Deployment(Path(sys.argv[1])))
model.ledger.all(), model.champion()  # what these import is written before the disk is full
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
result = model.take_in("b3") if sys.argv[2] == "batch" else model.challenge(max_features=1)
print(why(result))
"""


def heavy(deployment: Deployment) -> DeployedModel:
    """A model whose files are far larger than the databases."""
    params = {"n_estimators": 40}
    return deployment.model("heavy", estimator="sklearn.ensemble.RandomForestRegressor", params=params, seed=3)


@pytest.mark.slow
@pytest.mark.fault(33)
def test_a_full_disk_fails_batch_and_training_leaves_no_part_of_a_file_and_the_champion(tmp_path, mlflow_schema):
    """A limit on file size stands for a full disk: the kernel refuses the write half-way."""
    (tmp_path / "mlflow.db").write_bytes(mlflow_schema.read_bytes())
    model = heavy(Deployment(tmp_path))
    model.prepare(b1=rows(1, 400), b2=rows(2, 400))
    result = model.challenge()
    assert result.success, failed(result)
    model.land("b3", rows(3, 40_000))
    limit = max(path.stat().st_size for path in tmp_path.rglob("*.db")) + 200_000
    paths = os.pathsep.join([str(HERE), str(HERE.parent), str(HERE.parents[1])])
    for what in ("batch", "training"):
        before = set(files_below(tmp_path))
        done = subprocess.run(
            [sys.executable, "-c", WITHIN_LIMIT, str(tmp_path), what, str(limit)],
            env={**os.environ, "PYTHONPATH": paths, "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert "cannot be written: File too large. Look at space and rights" in done.stdout, done.stderr[-2_000:]
        left = [path for path in files_below(tmp_path) if path not in before and path.parent.name != "recipes"]
        assert left == []
        assert model.champion() == 1 and len(model.registry.versions("heavy")) == 1
    assert model.take_in("b3").success and len(model.predictions("b3")) == 40_000


def files_below(home: Path) -> list[Path]:
    """All files but those of Dagster and of SQLite itself."""
    found = (path for path in home.rglob("*") if path.is_file() and home / "dagster" not in path.parents)
    return [path for path in found if not path.name.endswith(("-wal", "-shm", "-journal"))]
