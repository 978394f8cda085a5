"""Races between real processes, with the records in SQLite and in PostgreSQL; no pool keeps them apart."""

import json
import os
import shutil
import subprocess
import sys
from itertools import pairwise

import pytest
import sqlalchemy as sa

from support import TESTS
from support.postgres import postgres  # noqa: F401

pytestmark = pytest.mark.slow
RACING = ("-m", "support.racing")
ROUNDS = int(os.environ.get("RACE_ROUNDS", "4"))
"""20 were run when this was written; each costs seconds."""


@pytest.fixture(params=["sqlite", "postgresql"])
def raced(request, tmp_path, mlflow_schema):
    """Runs a race; what each line of it says."""
    shutil.copy(mlflow_schema, tmp_path / "mlflow.db")
    url = f"sqlite:///{tmp_path / 'records.db'}"
    if request.param == "postgresql":
        server, name = (
            request.getfixturevalue("postgres"),
            f"races_{request.node.callspec.indices['raced']}_{os.getpid()}",
        )
        name = f"{name}_{request.node.originalname.removeprefix('test_')[:20]}"
        engine = sa.create_engine(
            server.url().replace("postgresql", "postgresql+psycopg"), isolation_level="AUTOCOMMIT"
        )
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        url = server.url(database=name)

    def run(race: str) -> list[dict]:
        command = [sys.executable, *RACING, race, str(tmp_path), str(ROUNDS)]
        ran = subprocess.run(
            command, cwd=TESTS, env={**os.environ, "RACE_DATABASE": url}, capture_output=True, text=True, timeout=900
        )
        assert ran.returncode == 0, ran.stderr[-3_000:]
        return [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]

    return run


@pytest.mark.promise(5)
@pytest.mark.fault(44)
def test_of_two_promotions_at_once_the_alias_names_the_last_on_record(raced):
    rounds = raced("two_promotions")
    assert len(rounds) == ROUNDS
    for each in rounds:
        assert each["alias"] == each["champion"]
        assert [number for number, _, _ in each["promotions"]] == list(range(1, len(each["promotions"]) + 1))
        assert all(end == "done" for _, _, end in each["promotions"])
    grown = [len(each["promotions"]) for each in rounds]
    assert all(after - before in (1, 2) for before, after in pairwise(grown))


@pytest.mark.promise(3)
@pytest.mark.fault(34)
def test_a_promotion_killed_at_any_point_is_unmoved_or_whole(raced):
    rounds = raced("killed")
    assert [each["codes"] for each in rounds] == [[-9]] * ROUNDS
    for each in rounds:
        before, after, version = each["before"], each["after"], each["version"]
        assert all(end != "open" for _, _, end in after["promotions"])
        assert after["alias"] == after["champion"]
        if each["point"] == "intended":
            assert before["promotions"][-1][1:] == [version, "open"] and before["alias"] == before["champion"]
            assert after["promotions"][len(before["promotions"]) - 1][2] == "abandoned"
        elif each["point"] == "alias":
            assert before["promotions"][-1][1:] == [version, "open"] and before["alias"] == version
            assert after["promotions"][-1] == [len(before["promotions"]), version, "done"]
        else:
            assert before["promotions"][-1][1:] == [version, "done"] and before["alias"] == version
            assert after == before


def test_of_two_first_batches_at_once_with_other_kinds_one_is_accepted(raced):
    lines = raced("two_first_batches")
    batches, ends = [each for each in lines if "batch" in each], [each for each in lines if "statuses" in each]
    assert len(ends) == ROUNDS and len(batches) == 2 * ROUNDS
    assert [each["statuses"] for each in ends] == [["accepted", "rejected"]] * ROUNDS
    refused = [each["why"] for each in batches if not each["accepted"]]
    assert len(refused) == ROUNDS and all("'z'" in why for why in refused), refused
