"""A page is for people: drawn as `pages` says, and one that cannot be drawn never fails the step that decides."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlops_assets.assets.batch.report import PageConfig, with_page
from mlops_assets.resources.mlflow.registry import MlflowRegistry

CHAMPION = cast(Any, SimpleNamespace(run_id="run"))


class Kept:
    """A registry that keeps what is logged to it."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}

    def log_bytes(self, run_id: str, name: str, data: bytes) -> None:
        """Keep a page."""
        self.pages[name] = data

    def artifact_url(self, run_id: str, name: str) -> str:
        """Where a page would be."""
        return f"http://mlflow/{run_id}/{name}"


@pytest.mark.parametrize(
    ("pages", "alarm", "asked", "drawn"),
    [
        ("on_alarm", True, False, True),
        ("on_alarm", False, False, False),
        ("on_alarm", False, True, True),
        ("always", True, False, True),
        ("always", False, False, True),
        ("never", True, False, False),
        ("never", False, False, False),
        ("never", True, True, True),
    ],
)
@pytest.mark.parametrize("kind", ["drift", "performance"])
@pytest.mark.parametrize("fails", [False, True], ids=["drawable", "fails"])
def test_pages_are_drawn_on_alarm_always_never_and_when_a_person_asks(kind, fails, pages, alarm, asked, drawn):
    def draw() -> str:
        if fails:
            raise KeyError(1)
        return "<html>"

    model, registry, name = cast(Any, SimpleNamespace(pages=pages)), Kept(), f"{kind}/4.html"
    line = with_page(model, PageConfig(page=asked), alarm, CHAMPION, name, draw, cast(Any, registry))["page"].value
    why = "`pages` is `never`" if pages == "never" else "there is no alarm"
    assert registry.pages == ({name: b"<html>"} if drawn and not fails else {})
    if not drawn:
        assert line == f"not drawn, as {why}; materialise with `page: true` in the launchpad to have it"
    elif fails:
        assert line == "could not be drawn: KeyError: 1"
    else:
        assert line == f"[Evidently's page {name}](http://mlflow/run/{name})"


def test_a_page_that_the_registry_cannot_keep_is_a_line_in_the_metadata(tmp_path: Any) -> None:
    model = cast(Any, SimpleNamespace(pages="on_alarm"))
    registry = MlflowRegistry(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}", artifact_root=str(tmp_path))
    shown = with_page(model, PageConfig(), True, CHAMPION, "performance/4.html", lambda: "<html>", registry)
    assert shown["page"].value.startswith("could not be drawn: ")
