"""The site as it is built: strictly, whole, and without asking anybody outside for anything."""

import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path

import pytest

import mlops_assets
from support.pages import REPOSITORY

DECLARED = ("ModelPipeline", "Search", "Fleet", "Gates", "Drift", "Retraining", "Limits", "Deployment")
SOURCES = ("Folder", "Frame", "Table", "Delta", "UpstreamAsset")
CHROMIUM = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}


class Fetched(HTMLParser):
    """What a page makes a browser fetch by itself; links that a person follows are not among it."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if url := dict(attrs).get(LOADED.get(tag, "")):
            self.urls.append(url)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        **{"cwd": REPOSITORY, "capture_output": True, "text": True, "check": False},
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_no_page_fetches_anything_from_outside(site):
    found = {}
    for page in site.rglob("*.html"):
        parser = Fetched()
        parser.feed(page.read_text())
        found[page.name] = [url for url in parser.urls if re.match(r"(https?:)?//", url)]
    assert len(found) > 20 and not any(found.values()), found
    for style in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", style.read_text()), style


def test_every_field_that_can_be_declared_is_in_the_reference(site):
    text = "".join(page.read_text() for page in (site / "reference").glob("*.html"))
    for declared in (getattr(mlops_assets, name) for name in (*DECLARED, *SOURCES)):
        for name, field in declared.model_fields.items():
            assert f"<code>{name}</code>" in text, f"{declared.__name__}.{name}"
            assert field.description, f"{declared.__name__}.{name} has no description"


def test_every_command_is_in_the_reference(site):
    page = (site / "reference" / "command-line.html").read_text()
    for command in ("doctor", "why", "history", "reproduce", "backtest", "rehome"):
        assert f"mlops-assets {command}" in page


def test_the_pages_on_security_name_tests_that_exist():
    named = re.findall(r"`((?:\w+/)?test_\w+\.py)`", (REPOSITORY / "docs" / "security.md").read_text())
    assert len(named) > 20
    assert [name for name in named if not (REPOSITORY / "tests" / name).is_file()] == []


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.browser
def test_a_browser_reads_the_site_and_asks_nobody_else(site, address):
    executable = shutil.which("chromium")
    if executable is None:
        pytest.fail("the browser tests need chromium: apt-get install chromium")
    with ThreadPoolExecutor(1) as thread:  # one playwright a thread, and tests/browser may have one open in this
        asked = thread.submit(_asked_for, site, address, executable).result()
    assert {url for url in asked if not url.startswith((address, "data:", "blob:"))} == set()


def _asked_for(site: Path, address: str, executable: str) -> set[str]:
    """What a browser asks for that opens every page and searches in one."""
    from playwright.sync_api import TimeoutError, sync_playwright

    asked: set[str] = set()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM)
        page = browser.new_page()
        page.on("request", lambda request: asked.add(request.url))
        for path in sorted(site.rglob("*.html")):
            page.goto(f"{address}/{path.relative_to(site).as_posix()}", wait_until="networkidle")
            assert page.locator("h1").count() >= 1, path
        found = page.locator(".md-search-result__item")
        for _ in range(5):  # what is typed before the page listens is lost: a person loads it again
            page.goto(f"{address}/index.html")
            page.fill("input[name=query]", "rollback")
            with suppress(TimeoutError):
                found.first.wait_for(state="attached", timeout=20_000)
                break
        assert found.count(), "the search of the site finds nothing for 'rollback'"
        browser.close()
    return asked
