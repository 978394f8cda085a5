"""Text from data is shown, never obeyed: in the model card, in the tables of the UI and in Evidently's pages."""

import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from support.deployment import DeployedModel, Deployment, failed, text_of
from support.synthetic import rows

COLUMN = "</script><script>alert('column')</script>"
CATEGORY = "</script><img src=x onerror=alert('category')>"
TEMPLATE = "{{7*7}} ${7*7}"
DESCRIPTION = "Sells <b onclick=alert(1)>more</b> | [click](javascript:alert(2)) {{7*7}}"


def hostile(number: int, shift: float = 0.0) -> pd.DataFrame:
    frame = rows(number).replace({"colour": {"red": CATEGORY, "green": TEMPLATE}})
    return frame.assign(**{COLUMN: frame["z"] + shift})


class Page(HTMLParser):
    """Elements and attributes of a page, with the text of its scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.handlers: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.handlers += [f"{name}={value}" for name, value in attrs if name.startswith("on")]


@pytest.fixture(scope="module")
def model(deployment: Deployment) -> DeployedModel:
    """Trained on hostile names and values, then a drifted batch for which Evidently's pages are drawn."""
    model = deployment.model("hostile", description=DESCRIPTION, slices=["colour"], pages="always")
    model.prepare(b1=hostile(1), b2=hostile(2))
    result = model.train()
    assert result.success, failed(result)
    assert model.take_in(model.land("b3", hostile(3, shift=9.0))).success
    return model


@pytest.mark.promise(7)
@pytest.mark.fault(67, 68)
def test_model_card_shows_text_literally(model):
    card = model.shown("model_card")["card"]
    assert r"Sells &lt;b onclick=alert(1)&gt;more&lt;/b&gt; \| \[click\](javascript:alert(2)) {{7\*7}}" in card.replace(
        "\u200b", ""
    )
    assert Page(card).elements == []
    artifact = model.registry.artifact(model.registry.champion(model.name).run_id, "model_card.md")
    assert artifact.read_text() == card


def test_model_card_says_what_the_champion_is(model):
    facts = dict(re.findall(r"^\| ([A-Z][a-z ]+) \| (.*) \|$", model.shown("model_card")["card"], re.MULTILINE))
    champion = model.registry.champion(model.name)
    assert list(facts) == [
        *("Version", "Owners", "Predicts", "Estimator", "Trained on", "Judged on", "Decision"),
        *("Data version", "Declaration version", "Seed", "Packages"),
    ]
    assert facts["Version"] == f"1, sha256 {champion.digest[:16]}"
    assert facts["Data version"] == champion.data_version and facts["Seed"] == "0"
    assert facts["Decision"].startswith("promotion 1 (first) by mlops")
    assert facts["Judged on"].endswith("later than all that it was trained on")


@pytest.mark.promise(7)
@pytest.mark.fault(67)
@pytest.mark.parametrize("kind", ["drift", "performance"])
def test_pages_hold_no_element_of_the_data(kind, model):
    page = model.registry.artifact(model.registry.champion(model.name).run_id, f"{kind}/b3.html").read_text()
    assert len(page) > 100_000
    found = Page(page)
    assert "img" not in found.elements
    assert [handler for handler in found.handlers if "alert" in handler] == []
    assert COLUMN not in page and CATEGORY not in page and "<script>alert" not in page


@pytest.mark.promise(7)
@pytest.mark.fault(67)
def test_drift_names_the_column_as_it_is(model):
    assert model.shown("drift")["verdict"] == "drift"
    assert COLUMN in text_of(model.shown("drift"))


@pytest.mark.promise(7)
@pytest.mark.fault(67)
def test_tables_and_plots_of_the_ui_hold_text_as_text(model, deployment):
    """Tables are text to the UI; what it renders as Markdown or SVG must not hold an element of the data."""
    from dagster import MarkdownMetadataValue

    from mlops_assets.assets.shared.keys import BATCH_ASSETS, TRAINING_ASSETS, asset_key

    for kind in (*BATCH_ASSETS, *TRAINING_ASSETS):
        event = deployment.instance.get_latest_materialization_event(asset_key(model.name, kind))
        rendered = {
            name: value.md_str
            for name, value in event.asset_materialization.metadata.items()
            if isinstance(value, MarkdownMetadataValue)
        }
        for name, text in rendered.items():
            assert "<script" not in text and "<img" not in text and "onclick=alert(1)>" not in text, (kind, name)
