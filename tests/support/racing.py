"""Rounds of a race between processes: `python -m support.racing RACE HOME ROUNDS`, with records in $RACE_DATABASE.

Each step of a round is a process of its own, forked from this one, which has imported all and opened nothing. Prints a
line of JSON for each round: what stands after it.
"""

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import mlflow  # noqa: F401  # what a child would import, once for all
from mlflow import MlflowClient  # noqa: F401
from sqlalchemy.dialects import postgresql, sqlite  # noqa: F401

from mlops_assets.records.promotions import PromotionLedger
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
from support.deployment import DeployedModel, Deployment, failed
from support.synthetic import rows

ADA = {"by": "ada", "reason": "race"}
POINTS = ("intended", "alias", "done")


class Unpooled(Deployment):
    """A deployment in which nothing but the ledger keeps two promotions apart."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        (home / "dagster" / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
        self.instance = dg.DagsterInstance.from_config(str(home / "dagster"))
        self.storage = Storage(root=str(home / "storage"), database=os.environ["RACE_DATABASE"])
        self.resources["mlops_storage"] = self.storage


def forked(*acts: Callable[[], Any]) -> list[int]:
    """Run each in a process of its own, all at once; their exit codes, negative for a signal."""
    children = []
    begin = time.time() + 0.05
    for act in acts:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                time.sleep(max(0.0, begin - time.time()))
                act()
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(code)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def promote(model: DeployedModel, version: int) -> None:
    model.materialize("champion", action="promote", version=version, **ADA)


def state(model: DeployedModel) -> dict[str, Any]:
    """Number, version and end of each promotion, oldest first, and what the alias names."""
    ledger = PromotionLedger(model.storage, model.name)
    champion = ledger.champion()
    return {
        "promotions": [
            (each.number, each.version, "done" if each.done else "abandoned" if each.abandoned else "open")
            for each in reversed(ledger.all())
        ],
        "champion": champion and champion.version,
        "alias": model.champion(),
    }


def say(**told: Any) -> None:
    print(json.dumps(told), flush=True)


def trained(home: Path) -> None:
    """Two versions that pass the gates."""
    model = Unpooled(home).model("raced")
    model.prepare(b1=rows(1), b2=rows(2))
    assert model.challenge(alpha=0.1).success
    assert model.challenge(alpha=0.2).success


def two_promotions(home: Path, rounds: int) -> None:
    """Two processes promote a version each, at once."""
    forked(lambda: trained(home))

    def act(version: int) -> Callable[[], None]:
        return lambda: promote(Unpooled(home).model("raced"), version)

    for _ in range(rounds):
        forked(act(1), act(2))
        forked(lambda: say(**state(Unpooled(home).model("raced"))))


def killed(home: Path, rounds: int) -> None:
    """A process is killed after it noted its promotion, after it moved the alias, after it noted that as done."""
    forked(lambda: trained(home))

    def deadly(point: str, version: int) -> None:
        owner, name = {
            "intended": (PromotionLedger, "check_open"),
            "alias": (MlflowRegistry, "set_champion"),
            "done": (PromotionLedger, "finish"),
        }[point]
        original = getattr(owner, name)

        def killing(*args: Any) -> None:
            original(*args)
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(owner, name, killing)
        promote(Unpooled(home).model("raced"), version)

    def carried_on(point: str, version: int, codes: list[int]) -> None:
        model = Unpooled(home).model("raced")
        for run in model.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
            model.instance.report_run_failed(run)
        before = state(model)
        model.materialize("champion", version=version)
        say(point=point, version=version, codes=codes, before=before, after=state(model))

    for number in range(rounds):
        point, version = POINTS[number % len(POINTS)], 1 + number % 2
        codes = forked(lambda: deadly(point, version))  # noqa: B023  # it has ended before the next round
        forked(lambda: carried_on(point, version, codes))  # noqa: B023


def two_first_batches(home: Path, rounds: int) -> None:
    """Two processes take in the first batch of a model each, at once, with other kinds in one column."""
    forked(lambda: Unpooled(home))  # Dagster's own database is there: two that make it at once are a race of Dagster's
    for number in range(rounds):
        name = f"first_{number}"
        frames = {"b1": rows(1).assign(z=1.5), "b2": rows(2).assign(z="north")}

        def take_in(batch: str) -> None:
            model = Unpooled(home).model(name)  # noqa: B023
            model.land(batch, frames[batch])  # noqa: B023
            result = model.materialize("dataset", batch=batch)
            say(batch=batch, accepted=result.success, why=failed(result).get("dtypes", ""))

        forked(lambda: take_in("b1"), lambda: take_in("b2"))
        forked(lambda: say(statuses=sorted(each.status for each in Unpooled(home).model(name).ledger.all())))  # noqa: B023


if __name__ == "__main__":
    races = {"two_promotions": two_promotions, "killed": killed, "two_first_batches": two_first_batches}
    races[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
