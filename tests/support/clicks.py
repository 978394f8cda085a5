"""What a person does in Dagster's UI again and again, and where it shows what came of it."""

import re

from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout


def value_of(page: Page, name: str) -> Locator:
    """What the newest materialisation says under a name, on an asset's overview."""
    return _row(page, name).locator("td").nth(2)


def said(page: Page, name: str) -> Locator:
    """What one event says under a name, on an asset's tab of events or of partitions."""
    return _row(page, name).locator("td").nth(1)


def open_job(page: Page, site: str, job: str) -> None:
    """From the list of jobs to the job."""
    page.goto(site + "/jobs")
    page.get_by_text(job, exact=True).click()


def open_launchpad(page: Page) -> None:
    """The launchpad of a job of assets is behind the arrow beside its button."""
    button = page.get_by_role("button", name="Materialize all")
    button.locator("xpath=following::button[1]").click()
    page.get_by_role("menuitem", name="Open launchpad").click()


def pick_partition(page: Page, key: str) -> None:
    """From the list that opens under the launchpad's field; it closes if the page is drawn anew meanwhile."""
    found = page.get_by_text(key, exact=True).filter(visible=True).first
    for _ in range(3):
        page.get_by_placeholder("Partition").click()
        try:
            return found.click(timeout=10_000)
        except PlaywrightTimeout:
            page.keyboard.press("Escape")
    raise AssertionError(f"the list of partitions does not show {key}")


def fill_in(page: Page, **texts: str) -> None:
    """Type between the quotes that the launchpad's config has ready."""
    for name, text in texts.items():
        line = page.locator(".CodeMirror-line").filter(has_text=re.compile(rf"^\s*{name}: "))
        line.click()
        page.keyboard.press("End")
        page.keyboard.press("ArrowLeft")
        page.keyboard.type(text)
        expect(line).to_contain_text(text)


def follow_note(page: Page) -> None:
    """From the note that a run was launched to its page."""
    page.get_by_text("Launched run").wait_for()
    page.get_by_text("View", exact=True).click()


def expect_end(page: Page, status: str = "Success") -> None:
    """Wait on the page of a run for its end."""
    expect(page.get_by_text(status, exact=True).first).to_be_visible(timeout=90_000)


def _row(page: Page, name: str) -> Locator:
    return page.locator("tr").filter(has=page.locator("td:first-child").get_by_text(name, exact=True))
