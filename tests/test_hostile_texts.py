"""Text from data is text wherever a person reads it: alerts, Markdown of the UI, the model card, descriptions."""

import re
from html.parser import HTMLParser

import dagster as dg
import pytest
from markdown_it import MarkdownIt

from mlops_assets.assets.promotion.model_card import _card
from mlops_assets.assets.shared.keys import check_specs
from mlops_assets.assets.shared.metadata import check_result, image, link, markdown_text
from mlops_assets.assets.shared.sparklines import trend
from mlops_assets.checks import CheckOutcome
from mlops_assets.components.model_pipeline import ModelPipeline
from mlops_assets.modelling.manifest import BatchInfo, Manifest
from mlops_assets.resources.alerts import Alert
from mlops_assets.sources.folder.source import Folder
from mlops_assets.text import inert

HOSTILE = [
    "[click](http://evil.example)",
    "[click](javascript:alert(1))",
    r"\[click](//evil.example)",
    r"\\[click](//evil.example)",
    "![](http://evil.example/pixel.png)",
    "[![x](data:image/svg+xml,y)](//evil.example)",
    "[click][there] [there]: //evil.example",
    "[there]: //evil.example",
    "[click] [a]:b",
    "<http://evil.example>",
    "<ada@evil.example>",
    "<http://evil.example|click>",
    "<a href='//evil.example'>click</a>",
    "<img src=x onerror=alert(1)>",
    "</td></tr></table><script>alert(1)</script>",
    "&lt;img src=x&gt; &#91;click&#93;(//evil.example)",
    "http://evil.example and HTTPS://EVIL.example or www.evil.example, WWW.evil.example",
    "@everyone @here @all ada@evil.example",
    "<!channel> <!here> <@U123> <#C123> <users/all>",
    "`a` ``[click](//evil.example)`` `",
    "a | b || c \\| d",
    "**bold** __bold__ *i* _i_ ~~gone~~ ~gone~ snake_case_name __class__",
    "price < 3 and x <= 4 at 5 > 2, a:b, [1, 2], (3)",
]
LIVE = re.compile(r"@(?=\w)|://|www\.|\]\(|\]\[|\]:|<(?=[\w/!@#])", re.IGNORECASE)
"""What a service or a browser takes for a mention, a link or an element."""

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
MARKDOWN.validateLink = lambda url: True  # markdown-it itself refuses `javascript:`, which others may not
EMPHASIS = {"em", "strong", "s"}


class Shown(HTMLParser):
    """What a person sees of a page: its text, and the elements that text alone does not have."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.elements = "", []
        self.feed(page)

    def handle_data(self, data):
        self.text += data

    def handle_starttag(self, tag, attrs):
        if tag not in {"p", "h1", "h2", "table", "thead", "tbody", "tr", "th", "td", "code"}:
            self.elements.append((tag, attrs))


def rendered(markdown: str) -> Shown:
    return Shown(MARKDOWN.render(markdown))


def seen(text: str) -> str:
    """Text as a person reads it."""
    return " ".join(text.replace("\u200b", "").split())


@pytest.mark.promise(7)
@pytest.mark.fault(67)
@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_shows_text_as_it_is(text):
    shown = rendered(markdown_text(text))
    assert shown.elements == [] and seen(shown.text) == seen(text)
    assert not LIVE.search(shown.text)  # nothing for a client that makes links of what looks like an address
    cells = Shown(MARKDOWN.render(f"| a | b |\n|---|---|\n| {markdown_text(text)} | last |"))
    assert cells.elements == [] and seen(cells.text) == seen(f"a b {text} last")


@pytest.mark.promise(7)
@pytest.mark.fault(67)
@pytest.mark.parametrize("text", HOSTILE)
def test_pictures_and_links_have_no_element_but_their_own(text):
    assert [tag for tag, _ in rendered(link(text, "http://mlflow").value).elements] == ["a"]
    (picture,) = rendered(image(b"png", text).value).elements
    assert picture[0] == "img" and dict(picture[1])["src"].startswith("data:image/png;base64,")
    assert [tag for tag, _ in rendered(trend([1.0, 2.0], 1.5, text).value).elements] == ["img"]


@pytest.mark.promise(7)
@pytest.mark.parametrize("text", HOSTILE)
def test_alerts_hold_no_link_but_that_to_the_ui(text):
    alert = Alert(
        kind="drift",
        model="bikes",
        subject=text,
        reason=text,
        link="assets/bikes/drift",
        key="key",
        at="2026-01-01T00:00:00+00:00",
    )
    lines = alert.body("http://dagster").splitlines()
    assert lines[-1] == "http://dagster/assets/bikes/drift"
    for shown in (alert.title(), *lines[:-1]):
        assert not LIVE.search(shown), shown
    assert {tag for tag, _ in rendered("\n\n".join([alert.title(), *lines])).elements} <= EMPHASIS
    assert seen(lines[0]) == seen(text) and seen(alert.title()) == seen(f"[bikes] drift: {text}")


@pytest.mark.promise(7)
@pytest.mark.parametrize("text", HOSTILE)
def test_descriptions_hold_no_link(text):
    key = dg.AssetKey("m")
    result = check_result(CheckOutcome("fresh", False, text, metadata={"column": text, text: 1}), key)
    (spec,) = check_specs("m", "dataset", {"fresh": text})
    for description in (str(result.description), str(spec.description)):
        assert not LIVE.search(description)
        assert {tag for tag, _ in rendered(description).elements} <= EMPHASIS
        assert seen(description) == seen(text)
    kinds = {type(value) for value in result.metadata.values()}
    assert dg.MarkdownMetadataValue not in kinds  # Dagster shows other texts as they are
    assert result.metadata["column"].value == text


@pytest.mark.promise(7)
@pytest.mark.fault(67)
@pytest.mark.parametrize("text", HOSTILE)
def test_the_model_card_shows_text_as_it_is(text):
    model = ModelPipeline(
        name="hostile", source=Folder("*.csv"), target="y", estimator="sklearn.linear_model.Ridge", description=text
    )
    batches = (BatchInfo(key=text, version="v", rows=9, labelled=9),)
    card = _card(
        model,
        {"Decision": f"promote by {text}", "Predicts": text},
        Manifest(batches, batches),
        {text: 0.5},
        [{text: text, "rows": "9"}],
    )
    shown = rendered(card)
    assert shown.elements == [] and not LIVE.search(shown.text)
    assert seen(shown.text).count(seen(text)) == 8


def test_text_that_is_made_inert_twice_is_as_after_once():
    for text in HOSTILE:
        assert inert(inert(text)) == inert(text)
    assert inert("3 < 4, p <= 0.05, [1, 2] and (a: b)") == "3 < 4, p <\u200b= 0.05, [1, 2] and (a: b)"
