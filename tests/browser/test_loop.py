"""What a person overrules from Dagster's UI alone, and what it shows of who did it and why, in a real browser."""

import re

import pytest
from playwright.sync_api import Page, expect

from support.clicks import expect_end, fill_in, follow_note, open_job, open_launchpad, pick_partition, said, value_of
from support.seen import Site

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]  # one deployment serves them all


def test_a_decision_on_retraining_shows_all_that_it_was_made_from(site: Site, page: Page) -> None:
    page.goto(f"{site.url}/assets/supply/champion?view=events")
    page.get_by_role("img", name="observation", exact=True).first.click()  # the newest in the list of events
    expect(said(page, "decision")).to_have_text("fire")
    expect(said(page, "asked_by")).to_have_text("drift, decay, growth")
    evidence = said(page, "evidence").locator("table")
    expect(evidence.locator("th")).to_have_text(["condition", "says", "found", "needed"])
    drift = ["drift", "train", "2 of the newest 2 batches (week-4, week-5)", "2 of the newest 3 batches"]
    expect(evidence.locator("tbody tr").first.locator("td")).to_have_text(drift)
    cool_down = evidence.locator("tr").filter(has_text="cool-down").locator("td")
    expect(cool_down.nth(1)).to_have_text("")
    expect(cool_down.nth(2)).to_have_text("2 batches since the last training")
    decisions = said(page, "decisions").locator("tbody tr td:nth-child(2)")
    expect(decisions).to_have_text(["fire", "hold"])


def test_a_rollback_without_a_name_and_a_reason_fails_and_says_what_to_fill_in(site: Site, page: Page) -> None:
    page.goto(f"{site.url}/assets/supply/champion")
    before = value_of(page, "version").inner_text()
    open_job(page, site.url, "supply_rollback")
    page.get_by_role("button", name="Materialize all").click()
    follow_note(page)
    expect_end(page, "Failure")
    sentence = "supply: action 'rollback' needs `by` (who) and `reason` (why)"
    expect(page.get_by_text(sentence).first).to_be_visible()
    page.goto(f"{site.url}/assets/supply/champion")
    expect(value_of(page, "version")).to_have_text(before)


def test_a_person_rolls_back_and_scores_again_and_sees_who_and_why(site: Site, page: Page) -> None:
    page.goto(f"{site.url}/assets/supply/champion")
    expect(value_of(page, "version")).to_have_text("2")
    page.goto(f"{site.url}/assets/supply/predictions?view=partitions&partition=week-5")
    expect(said(page, "model_version")).to_have_text("2")

    open_job(page, site.url, "supply_rollback")
    open_launchpad(page)
    config = page.locator(".CodeMirror-code").filter(has_text="ops:")
    expect(config).to_contain_text("action: rollback")
    expect(config).to_contain_text("version: 0")
    fill_in(page, by="ada", reason="complaints since Monday")
    page.get_by_role("dialog").get_by_role("button", name="Materialize").click()
    expect_end(page)

    page.goto(f"{site.url}/assets/supply/champion")
    expect(value_of(page, "version")).to_have_text("1")
    expect(value_of(page, "version_before")).to_have_text("2")
    expect(value_of(page, "verdict")).to_have_text("promote")
    expect(value_of(page, "reason")).to_have_text("rollback: complaints since Monday")
    expect(value_of(page, "decided_by")).to_have_text("ada")
    former = value_of(page, "history").locator("tr").filter(has_text="promote by ada")
    expect(former).to_contain_text("rollback: complaints since Monday")

    open_job(page, site.url, "supply_rescore")
    page.get_by_role("button", name="Materialize all").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Select a partition or create one").click()
    page.get_by_text("week-5", exact=True).filter(visible=True).first.click()
    page.keyboard.press("Escape")  # closes the list
    dialog.get_by_role("button", name="Launch 1 run").click()
    follow_note(page)
    expect_end(page)
    page.goto(f"{site.url}/assets/supply/predictions?view=partitions&partition=week-5")
    expect(said(page, "model_version")).to_have_text("1")
    expect(said(page, "mlflow_version")).to_have_text("supply version 1")


def test_a_person_takes_a_batch_out_of_training_and_the_batch_says_who_and_why(site: Site, page: Page) -> None:
    open_job(page, site.url, "supply_exclude")
    page.get_by_role("tab", name="Launchpad").click()
    pick_partition(page, "week-2")
    expect(page.get_by_text("partition: week-2")).to_be_visible()  # the config is filled in anew for it
    expect(page.locator(".CodeMirror-code")).to_contain_text(re.compile("action: '?exclude"))
    fill_in(page, by="ada", reason="the scale was broken")
    page.get_by_role("button", name="Launch Run").click()
    expect_end(page)

    page.goto(f"{site.url}/assets/supply/dataset?view=partitions&partition=week-2")
    expect(said(page, "training")).to_have_text("taken out of training")
    expect(said(page, "decided_by")).to_have_text("ada")
    expect(said(page, "reason")).to_have_text("the scale was broken")
    page.goto(f"{site.url}/assets/supply/dataset?view=events")
    expect(page.get_by_text("taken out of training by ada: the scale was broken")).to_be_visible()
