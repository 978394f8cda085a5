"""A table drives a model: the sensor sees its rows, runs take them in, a champion is trained on them."""

import sqlite3
from pathlib import Path

import pandas as pd
import pytest

from mlops_assets import Table
from support.deployment import Deployment, why
from support.ledger_rows import latest
from support.sensed import Project, ridge
from support.synthetic import rows


class Warehouse:
    """A file of SQLite that someone else writes to."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "warehouse.db"
        self.url = f"sqlite:///{self.path}"

    def add(self, frame: pd.DataFrame, table: str = "orders") -> None:
        """Rows at the end of a table."""
        with sqlite3.connect(self.path) as connection:
            frame.to_sql(table, connection, if_exists="append", index=False)


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path)


def test_rows_of_a_table_become_a_champion(deployment: Deployment, name: str, warehouse: Warehouse) -> None:
    project = Project(deployment, ridge(name, Table("orders", url=warehouse.url, high_watermark="id")))
    warehouse.add(rows(1))
    assert project.take_in() == ["0-start--001059"]
    assert project.take_in() == []
    warehouse.add(rows(2))
    assert project.take_in() == ["001059--002059"]
    taken = project.rows("001059--002059")
    assert taken["id"].tolist() == rows(2)["id"].tolist()
    assert taken["day"].tolist() == rows(2)["day"].tolist()
    trained = project.train()
    assert trained.success, why(trained)
    champion = deployment.registry.champion(name)
    assert champion is not None and champion.version == 1
    warehouse.add(rows(3))
    assert project.take_in() == ["002059--003059"]
    assert latest(deployment.storage, name, "predictions", "002059--003059") is not None


def test_rows_that_come_while_a_batch_is_under_way_are_in_another(
    deployment: Deployment, name: str, warehouse: Warehouse
) -> None:
    project = Project(deployment, ridge(name, Table("orders", url=warehouse.url, high_watermark="id")))
    warehouse.add(rows(1))
    first = project.tick()
    warehouse.add(rows(2))
    project.cursor = None  # a cursor may be lost; which batches were asked for is not
    second = project.tick()
    assert [request.partition_key for request in second] == ["0-start--001059", "001059--002059"]
    assert second[0].run_key == first[0].run_key
    for request in (*first, second[1]):
        assert project.run(request).success
    assert len(project.rows("0-start--001059")) == len(project.rows("001059--002059")) == 60
    assert project.take_in() == []


def test_late_rows_are_taken_in_with_their_batch(deployment: Deployment, name: str, warehouse: Warehouse) -> None:
    project = Project(deployment, ridge(name, Table("orders", url=warehouse.url, period="day")))
    late = rows(1)
    warehouse.add(late.head(50))
    warehouse.add(rows(2))
    assert project.take_in() == ["2024-01-02", "2024-01-03"]
    warehouse.add(late.tail(10))
    assert project.take_in() == ["2024-01-02"]
    assert len(project.rows("2024-01-02")) == 60
    assert project.take_in() == []


def test_a_batch_that_a_check_rejects_holds_up_no_other(
    deployment: Deployment, name: str, warehouse: Warehouse
) -> None:
    project = Project(deployment, ridge(name, Table("orders", url=warehouse.url, high_watermark="id")))
    warehouse.add(rows(1))
    project.take_in()
    warehouse.add(pd.concat([rows(2), rows(2).head(1)]))
    assert project.take_in() == ["001059--002059"]
    warehouse.add(rows(3))
    assert project.take_in() == ["002059--003059"]
    assert project.became() == {
        "0-start--001059": "accepted",
        "001059--002059": "rejected",
        "002059--003059": "accepted",
    }


def test_a_database_that_is_away_rejects_no_batch(deployment: Deployment, name: str, warehouse: Warehouse) -> None:
    project = Project(deployment, ridge(name, Table("orders", url=warehouse.url, high_watermark="id")))
    warehouse.add(rows(1))
    (request,) = project.tick()
    away = warehouse.path.rename(warehouse.path.with_suffix(".away"))
    failed = project.run(request)
    assert "there is no file" in why(failed)
    assert project.became() == {}
    assert project.tick() == []
    away.rename(warehouse.path)
    assert [again.partition_key for again in project.tick()] in ([], ["0-start--001059"])  # after a minute's delay
    assert project.run(request).success
    assert project.became() == {"0-start--001059": "accepted"}


def test_labels_may_come_from_a_table(deployment: Deployment, name: str, warehouse: Warehouse) -> None:
    labels = Table("labels", url=warehouse.url, high_watermark="id")
    source = Table("orders", url=warehouse.url, high_watermark="id")
    project = Project(deployment, ridge(name, source, outcomes=labels))
    warehouse.add(rows(1).drop(columns="y"))
    warehouse.add(rows(1)[["id", "y"]].head(40), "labels")
    assert project.take_in() == ["0-start--001059", "0-start--001039"]
    record = project.ledger.get("0-start--001059")
    assert record is not None and record.labelled == 40
    assert project.take_in() in ([], ["0-start--001059"])
