"""A deployment with a history, served by `dagster dev`, and a page of Debian's chromium that looks at it."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.seen import PATIENCE, Site, end, make_history, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
CHROMIUM = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]


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
