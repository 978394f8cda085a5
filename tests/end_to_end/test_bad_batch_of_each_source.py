"""A batch of each source that holds what no model can take ends rejected with the reason, and is asked for once."""

from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest
import sqlalchemy as sa
from deltalake import DeltaTable, write_deltalake

from mlops_assets import Delta, Folder, Table, UpstreamAsset
from support.deployment import QUIET
from support.postgres import postgres  # noqa: F401
from support.sensed import Project, ridge
from support.servers.stores import any_bucket, azure, azure_bucket, s3, s3_bucket  # noqa: F401
from support.synthetic import rows

pytestmark = pytest.mark.slow
TICKS = 3


def landed(folder: Path, ending: str, bad: Any) -> Folder:
    for batch, frame in (("b1", rows(1)), ("b2", rows(2).assign(z=bad)), ("b3", rows(3))):
        file = folder / f"{batch}.{ending}"
        frame.to_csv(file, index=False) if ending == "csv" else frame.to_parquet(file, index=False)
        file.with_name(f"{file.name}.done").touch()
    return Folder(f"{folder}/*.{ending}")


def ends(project: Project, bad: str, reason: str) -> None:
    """After some ticks nothing is asked for; one batch is rejected, the others are taken in."""
    asked = [batch for _ in range(TICKS) for batch in project.take_in()]
    assert len(asked) == len(set(asked)) == 3 and project.tick() == []
    became = project.became()
    assert became.pop(bad) == "rejected" and set(became.values()) == {"accepted"}
    record = project.ledger.get(bad)
    assert record is not None and reason in "; ".join(record.reasons), record


@pytest.mark.promise(4)
@pytest.mark.parametrize(
    ("ending", "bad", "reason"),
    [
        ("csv", [10**21 + number for number in range(60)], "'z': row 1"),
        ("parquet", [[number] for number in range(60)], "'z': row 1"),
    ],
)
def test_a_folder(ending, bad, reason, deployment, name, tmp_path):
    ends(Project(deployment, ridge(name, landed(tmp_path, ending, bad))), "b2", reason)


@pytest.mark.promise(4)
@pytest.mark.parametrize("period", [None, "day"])
def test_a_folder_of_an_object_store(period, deployment, name, any_bucket):  # noqa: F811
    for number, frame in ((1, rows(1)), (2, pd.concat([rows(2), rows(2).head(1)])), (3, rows(3))):
        content = frame.assign(seen=pd.Timestamp(2024, 1, number)).to_parquet(index=False)
        for ending, written in (("parquet", content), ("parquet.done", b"")):
            with any_bucket.files.open_output_stream(f"{any_bucket.name}/in/b{number}.{ending}") as stream:
                stream.write(written)
    source = Folder(f"{any_bucket.url}/in/*.parquet", period=period, time="seen")
    project = Project(deployment, ridge(name, source, drop=["seen"]))
    ends(project, "b2" if period is None else "2024-01-02", "key_unique: 2 rows share their key 'id'")
    assert project.train().success


@pytest.mark.promise(4)
def test_an_upstream_asset(deployment, name):
    key, stored = dg.AssetKey([name, "source"]), {}

    class Memory(dg.IOManager):
        def handle_output(self, context, obj):
            stored[context.partition_key] = obj

        def load_input(self, context):
            return stored[context.partition_key]

    parts = dg.StaticPartitionsDefinition(["b1", "b2", "b3"])

    @dg.asset(key=key, partitions_def=parts, io_manager_key="memory")
    def source(context) -> pd.DataFrame:
        number = int(context.partition_key[1])
        return rows(number).assign(z=[{"a": row} for row in range(60)]) if number == 2 else rows(number)

    memory = Memory()
    project = Project(deployment, ridge(name, UpstreamAsset(f"{name}/source")), source, memory=memory)
    for part in ("b1", "b2", "b3"):
        made = dg.materialize(
            [source], instance=deployment.instance, partition_key=part, resources={"memory": memory}, run_config=QUIET
        )
        assert made.success
    ends(project, "b2", "'z': row 1")


@pytest.mark.promise(4)
def test_a_delta_table(deployment, name, tmp_path):
    path = str(tmp_path / "lake")
    for number, frame in ((1, rows(1)), (2, pd.concat([rows(2), rows(2).head(1)], ignore_index=True)), (3, rows(3))):
        write_deltalake(path, frame.assign(seen=pd.Timestamp(2024, 1, number, tz="UTC")), mode="append")
    source = Delta(path, period="day", time="seen")
    project = Project(deployment, ridge(name, source, drop=["seen"]))
    ends(project, "2024-01-02", "key_unique: 2 rows share their key 'id'")
    DeltaTable(path).optimize.compact()  # other files with the same rows: read once more, and nothing else follows
    before = {batch: project.ledger.get(batch).identity for batch in ("2024-01-01", "2024-01-03")}
    again = [batch for _ in range(TICKS) for batch in project.take_in()]
    assert sorted(again) == [f"2024-01-0{day}" for day in (1, 2, 3)]
    assert {batch: project.ledger.get(batch).identity for batch in before} == before


@pytest.mark.promise(4)
def test_a_table(deployment, name, postgres):  # noqa: F811
    engine = sa.create_engine(postgres.url().replace("postgresql:", "postgresql+psycopg:"))
    frame = pd.concat([rows(1), rows(2), rows(3)]).assign(seen="2024-01-01")
    with engine.begin() as connection:
        frame.to_sql(name, connection, index=False)
        connection.exec_driver_sql(f'ALTER TABLE "{name}" ALTER seen TYPE date USING seen::date')
        connection.exec_driver_sql(f"UPDATE \"{name}\" SET seen = 'infinity' WHERE id = 2000")
    engine.dispose()
    source = Table(name, url=postgres.url(), period="day")
    ends(
        Project(deployment, ridge(name, source, drop=["seen"])),
        "2024-01-03",
        "holds a value that cannot be read: date too large",
    )
