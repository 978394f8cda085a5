"""A deployment with a history, served by `dagster dev`, and a page of Debian's chromium that looks at it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pandas as pd
import pytest

if TYPE_CHECKING:
    import dagster as dg
    from playwright.sync_api import Browser, Page

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
CHROMIUM = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
PATIENCE = 30.0
ROWS = 120


@dataclass(frozen=True)
class Site:
    """Where Dagster's UI is, and where what it shows is stored."""

    url: str
    home: Path


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`dagster dev` on a free loopback port over a deployment whose two models have a history."""
    home = tmp_path_factory.mktemp("browser")
    environment = pytest.MonkeyPatch()
    environment.setenv("MLOPS_ASSETS_HOME", str(home))
    environment.setenv("DAGSTER_HOME", str(home / "dagster"))
    environment.syspath_prepend(str(HERE))
    (home / "dagster").mkdir()
    shutil.copy(REPOSITORY / "dagster.yaml", home / "dagster")
    make_history(home)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [Path(sys.executable).parent / "dagster", "dev", "-h", "127.0.0.1", "-p", str(port)]
    with (home / "dagster.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "-f", str(HERE / "location.py"), "-d", str(REPOSITORY)],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/server_info", server, home / "dagster.log")
        yield Site(f"http://127.0.0.1:{port}", home)
    finally:
        end(server)
        environment.undo()


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """Chromium without a window."""
    from playwright.sync_api import expect, sync_playwright

    executable = shutil.which("chromium")
    if executable is None:
        pytest.fail("the browser tests need chromium: apt-get install chromium")
    expect.set_options(timeout=PATIENCE * 1_000)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=CHROMIUM)
        yield started
        started.close()


@pytest.fixture
def page(browser: "Browser") -> "Iterator[Page]":
    """A fresh page that waits half a minute for what it is asked for."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE * 1_000)
    yield opened
    context.close()


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
