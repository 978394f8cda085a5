"""A deployment with a history, served by `dagster dev`, and a page of Debian's chromium that looks at it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pandas as pd
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
CHROMIUM = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
PATIENCE = 30.0
ROWS = 120


@dataclass(frozen=True)
class Site:
    """Where Dagster's UI is, and where what it shows is stored."""

    url: str
    home: Path


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`dagster dev` on a free loopback port over a deployment with two trainings, a rejected and a waiting batch."""
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
    """Three batches, a training, two more batches, another training, a batch that is refused, one not taken in yet."""
    import dagster as dg
    from location import defs, demand

    from mlops_assets.assets.keys import batches

    (home / "landing").mkdir()
    for number in range(1, 8):
        rows(number).to_csv(home / "landing" / f"day-{number}.csv", index=False)
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions(batches(demand.name).name, [f"day-{number}" for number in range(1, 8)])

        def run(job: str, **options: Any) -> bool:
            found = defs.resolve_job_def(job).execute_in_process(
                instance=instance, raise_on_error=False, run_config=quiet, **options
            )
            return bool(found.success)

        assert all(run("demand_batch", partition_key=f"day-{number}") for number in (1, 2, 3))
        assert run("demand_training")
        assert all(run("demand_batch", partition_key=f"day-{number}") for number in (4, 5))
        assert run("demand_training")
        assert not run("demand_batch", partition_key="day-6")


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
