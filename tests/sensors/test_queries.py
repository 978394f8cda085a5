"""A tick in which nothing is new asks the database of records once, however many models there are."""

from collections import Counter

import dagster as dg
import pytest
import sqlalchemy as sa

from mlops_assets import Folder
from mlops_assets.records.tables import COUNTERS, RECORDS
from mlops_assets.records.typed import store_of
from mlops_assets.sensors.retraining.sensor import retraining_sensor
from support.ticking import Ticks, pipeline, write

MODELS = [f"m{number:02}" for number in range(30)]


@pytest.fixture
def ticks(tmp_path):
    """Thirty models with two complete batches each."""
    with dg.instance_for_test() as instance:
        models = []
        for name in MODELS:
            (tmp_path / name).mkdir()
            models.append(pipeline(name, Folder(str(tmp_path / name / "*.csv"))))
            for rows, batch in ((3, "a"), (4, "b")):
                write(tmp_path / name, f"{batch}.csv", rows=rows)
        made = Ticks(tmp_path, instance, *models)
        made.tick()
        made.take_in(made.tick())
        yield made


def queries(ticks) -> Counter[str]:
    """How often a tick asks each table."""
    asked: list[str] = []

    def note(*of):
        asked.append(of[2])

    engine = store_of(ticks.storage)._engine
    sa.event.listen(engine, "before_cursor_execute", note)
    result = ticks.tick()
    sa.event.remove(engine, "before_cursor_execute", note)
    assert not result.run_requests
    return Counter(table.name for table in (RECORDS, COUNTERS) for each in asked if f"FROM {table.name}" in each)


@pytest.mark.parametrize("sensor", ["new_data", "retraining"])
def test_a_tick_with_nothing_new_is_one_query_and_one_more_for_each_kind_that_changed(ticks, sensor):
    if sensor == "retraining":
        ticks.sensor, ticks.cursor = retraining_sensor(), None
    store_of(ticks.storage).views.clear()
    first = queries(ticks)
    assert first[COUNTERS.name] == 1 and 0 < first[RECORDS.name] <= 9, "all models at once, one query a kind"
    assert queries(ticks) == {COUNTERS.name: 1}
    ticks.put(MODELS[7], "c", "")
    assert queries(ticks)[COUNTERS.name] == 1
