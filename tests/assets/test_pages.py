"""A page is for people: one that cannot be drawn never fails the step that decides."""

from types import SimpleNamespace
from typing import Any, cast

from mlops_assets.assets.reports import PageConfig, with_page
from mlops_assets.resources.mlflow_registry import MlflowRegistry


def test_a_page_that_cannot_be_drawn_is_a_line_in_the_metadata(tmp_path: Any) -> None:
    def draw() -> str:
        raise KeyError(1)

    model, version = cast(Any, SimpleNamespace(pages="on_alarm")), cast(Any, SimpleNamespace(run_id="none"))
    registry = MlflowRegistry(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}", artifact_root=str(tmp_path))
    shown = with_page(model, PageConfig(), True, version, "performance/4.html", draw, registry)
    assert shown["page"].value == "could not be drawn: KeyError: 1"
