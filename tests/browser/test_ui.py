"""What a person sees and clicks in Dagster's UI, in a real browser."""

import re

import pytest
from playwright.sync_api import Page, expect

from support.clicks import expect_end, follow_note, value_of
from support.seen import Site

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]  # one deployment serves them all

GROUP = "/locations/location.py/asset-groups/demand/lineage"


def test_the_graph_reads_from_left_to_right(site: Site, page: Page) -> None:
    page.goto(site.url + GROUP)

    def left(kind: str) -> float:
        node = page.locator("foreignObject").filter(has_text=re.compile(rf"^{kind}\b")).first
        node.wait_for()
        box = node.bounding_box()
        assert box is not None
        return float(box["x"])

    path = ["dataset", "features", "training_set", "challenger", "evaluation", "champion", "predictions", "performance"]
    across = [left(kind) for kind in path]
    assert across == sorted(set(across))
    assert left("drift") > left("champion")
    assert left("model_card") > left("champion")


@pytest.mark.parametrize(
    ("kind", "table", "plot"),
    [
        ("challenger", "against_baselines", "search_plot"),
        ("evaluation", "metrics", "predicted_and_actual_plot"),
        ("evaluation", "slices", "importance_plot"),
        ("champion", "gates", "comparison_plot"),
    ],
)
def test_evidence_is_a_table_in_place_and_a_plot_behind_a_link(
    site: Site, page: Page, kind: str, table: str, plot: str
) -> None:
    page.goto(f"{site.url}/assets/demand/{kind}")
    expect(value_of(page, table).locator("table tbody tr").nth(1)).to_be_visible()
    value_of(page, plot).get_by_text("[Show Markdown]").click()
    picture = page.get_by_role("dialog").locator("img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 900


def test_drift_names_each_feature_and_performance_shows_its_trend(site: Site, page: Page) -> None:
    page.goto(f"{site.url}/assets/demand/drift")
    expect(value_of(page, "verdict")).to_have_text("no drift")
    expect(value_of(page, "features").locator("table")).to_contain_text("price")
    expect(value_of(page, "features").locator("table")).to_contain_text("shop")
    page.goto(f"{site.url}/assets/demand/performance")
    trend = value_of(page, "trend")
    expect(trend).to_contain_text("rmse over 2 batches to day-5")
    assert trend.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 300


def test_each_expectation_is_a_check_with_its_evidence(site: Site, page: Page) -> None:
    page.goto(f"{site.url}/assets/demand/dataset?view=checks")
    for check in ("row_count", "non_null", "shop_values_to_be_in_set"):
        expect(page.get_by_text(check, exact=True).first).to_be_visible()
    page.get_by_text("sold_values_to_be_between", exact=True).first.click()
    expect(page.get_by_text("does not hold: sold: values to be between").first).to_be_visible()
    expect(page.get_by_text("12345.0 (row 8)", exact=True)).to_be_visible()
    expect(page.get_by_text("unexpected_share", exact=True).first).to_be_visible()


def test_a_rejected_batch_keeps_its_reason(site: Site, page: Page) -> None:
    page.goto(f"{site.url}/assets/demand/dataset?view=events&partition=day-6")
    page.get_by_text("day-6", exact=True).first.click()
    expect(page.get_by_text("rejected_because", exact=True)).to_be_visible()
    expect(page.get_by_text("sold_values_to_be_between: does not hold")).to_be_visible()


def test_a_click_materialises_the_model_card(site: Site, page: Page) -> None:
    page.goto(f"{site.url}/assets/demand/model_card")
    expect(value_of(page, "version")).to_have_text("1")
    page.get_by_role("button", name="Materialize").first.click()
    follow_note(page)
    expect_end(page)


def test_a_click_takes_in_the_waiting_batch(site: Site, page: Page) -> None:
    page.goto(f"{site.url}/assets/demand/dataset")
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Missing", exact=True).click()
    expect(dialog.get_by_text("1 partition", exact=True)).to_be_visible()
    dialog.get_by_role("button", name=re.compile("Launch")).click()
    follow_note(page)
    expect_end(page)
    page.goto(f"{site.url}/assets/demand/dataset?view=partitions&partition=day-7")
    expect(page.get_by_text("labelled_rows", exact=True)).to_be_visible()
    expect(page.get_by_text("Missing (0)")).to_be_visible()
