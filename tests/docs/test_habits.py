"""What a host and a contributor rely on: CI calls targets that exist, hooks call tools of .venv, headings are kept."""

import re

import pytest
import yaml

from support.pages import REPOSITORY

TARGETS = set(re.findall(r"^([a-z-]+)(?: [a-z-]+)*:", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))


def targets_of(text: str) -> set[str]:
    """Return the targets of every line `make a b` of a text."""
    return {name for names in re.findall(r"^make (.+)$", text, re.MULTILINE) for name in names.split()}


def test_the_hosts_ci_runs_what_the_gate_runs():
    jobs = yaml.safe_load((REPOSITORY / ".github/workflows/ci.yml").read_text())["jobs"]
    called = targets_of("\n".join(step.get("run", "") for job in jobs.values() for step in job["steps"]))
    assert called <= TARGETS
    assert {"test", "test-slow", "test-versions", "lint", "docs"} <= called


def test_the_targets_that_a_contributor_is_told_exist():
    shown = re.findall(r"^make ([a-z-]+)", (REPOSITORY / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert shown and set(shown) <= TARGETS


def test_hooks_call_tools_of_this_environment_and_fetch_nothing():
    repos = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repo["repo"] for repo in repos] == ["local"]
    assert all(hook["entry"].startswith(".venv/bin/") and hook["language"] == "system" for hook in repos[0]["hooks"])


def test_the_changelog_keeps_its_headings():
    text = (REPOSITORY / "CHANGELOG.md").read_text()
    assert re.findall(r"^## (.*)$", text, re.MULTILINE)[0] == "Unreleased"
    kinds = re.findall(r"^### (.*)$", text, re.MULTILINE)
    assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_of_pages_outside_the_site_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (REPOSITORY / page).read_text())
    assert links and [link for link in links if not (REPOSITORY / link).exists()] == []
