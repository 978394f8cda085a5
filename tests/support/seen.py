"""What a person who looks at Dagster's UI sees: two models with a history, and the server's end."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import dagster as dg

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
PATIENCE = 30.0
ROWS = 120


@dataclass(frozen=True)
class Site:
    """Where Dagster's UI is, and where what it shows is stored."""

    url: str
    home: Path


def make_history(home: Path) -> None:
    """What the code location has been through before anybody looks at it."""
    import dagster as dg

    (home / "landing" / "supply").mkdir(parents=True)
    with dg.DagsterInstance.get() as instance:
        history = History(home, instance)
        history.of_demand()
        history.of_supply()


class History:
    """Runs the jobs of the code location, and evaluates its sensor, as the daemon would."""

    def __init__(self, home: Path, instance: "dg.DagsterInstance") -> None:
        self.landing, self.instance = home / "landing", instance
        self.cursor: str | None = None

    def of_demand(self) -> None:
        """Three batches, a training, two more, another training, a batch that is refused, one not taken in yet."""
        for number in range(1, 8):
            rows(number).to_csv(self.landing / f"day-{number}.csv", index=False)
        self.add("demand", [f"day-{number}" for number in range(1, 8)])
        assert all(self.run("demand_batch", partition_key=f"day-{number}") for number in (1, 2, 3))
        assert self.run("demand_training")
        assert all(self.run("demand_batch", partition_key=f"day-{number}") for number in (4, 5))
        assert self.run("demand_training")
        assert not self.run("demand_batch", partition_key="day-6")

    def of_supply(self) -> None:
        """Two trainings, of which the first was poor: version 2 is champion. Then two batches whose prices drifted.

        The sensor `retraining` was evaluated before and after these two: it holds, then it fires.
        """
        for number in range(1, 6):
            frame = rows(number)
            frame["price"] += 2 * (number > 3)
            frame.to_csv(self.landing / "supply" / f"week-{number}.csv", index=False)
        self.add("supply", [f"week-{number}" for number in range(1, 6)])
        assert all(self.run("supply_batch", partition_key=f"week-{number}") for number in (1, 2, 3))
        poor = {"ops": {"supply__challenger": {"config": {"params": {"alpha": 1_000.0}}}}}
        assert self.run("supply_training", run_config=poor)
        assert self.run("supply_training")
        self.tick()
        assert all(self.run("supply_batch", partition_key=f"week-{number}") for number in (4, 5))
        self.tick()

    def add(self, model: str, names: list[str]) -> None:
        """Make batches known, as the sensor `new_data` does."""
        self.instance.add_dynamic_partitions(f"{model}_batches", names)

    def run(self, job: str, run_config: Mapping[str, Any] | None = None, **options: Any) -> bool:
        """Whether a run of the job succeeds."""
        from location import defs

        found = defs.resolve_job_def(job).execute_in_process(
            instance=self.instance, raise_on_error=False, run_config={**QUIET, **(run_config or {})}, **options
        )
        return bool(found.success)

    def tick(self) -> None:
        """One tick of `retraining`: what it decides is recorded; what it asks for is not launched."""
        import dagster as dg
        from location import defs, resources, retraining

        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=defs.get_repository_def(),
            resources={name: resources[name] for name in ("mlops_storage", "mlflow_registry")},
        )
        result = retraining.evaluate_tick(context)
        for event in result.asset_events:
            self.instance.report_runless_asset_event(event)
        self.cursor = result.cursor


def rows(number: int) -> pd.DataFrame:
    """120 minutes of day `number`; on day 6 one row has sold an impossible number."""
    random = np.random.default_rng(number)
    hours = pd.Timestamp("2024-01-01") + pd.to_timedelta(number * 24 * 60 + np.arange(ROWS), unit="min")
    price = random.normal(size=ROWS)
    sold = 3 * price + random.normal(size=ROWS)
    if number == 6:
        sold[7] = 12_345
    shop = random.choice(["north", "south"], ROWS)
    return pd.DataFrame(
        {"id": np.arange(ROWS) + 1_000 * number, "hour": hours, "price": price, "shop": shop, "sold": sold}
    )


def wait_for(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until the server answers; what it has logged where it does not."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urlopen(url, timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.3)
    raise RuntimeError(f"{url} does not answer: {log.read_text()[-2_000:]}")


def end(server: "subprocess.Popen[bytes]") -> None:
    """The server and every process that it started."""
    for number, patience in ((signal.SIGINT, 15.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(server.pid, number)
            server.wait(patience)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
