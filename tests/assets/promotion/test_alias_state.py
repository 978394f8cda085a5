"""Where a decision starts, and whether its run may promote."""

from dataclasses import replace
from types import SimpleNamespace

import dagster as dg
import pytest

from mlops_assets.assets.promotion.alias_state import Before, may_not_promote, why_over
from mlops_assets.records.promotions import Promotion

FIRST = Promotion(
    number=1,
    how="first",
    by="mlops_assets",
    reason="first model",
    dagster_run_id="r",
    intended="2024-05-01T10:00:00+00:00",
    version=1,
    digest="1",
    run_id="run",
    source="",
    done="2024-05-01T10:00:01+00:00",
)
SECOND = replace(FIRST, number=2, version=2, digest="2")
BEGUN = replace(FIRST, number=3, version=3, digest="3", done="")
ABANDONED = replace(BEGUN, number=4, abandoned="2024-05-01T11:00:00+00:00")


def before(*promotions: Promotion) -> Before:
    return Before(model="tides", promotions=promotions, state="sound", hold=None, waiting=None)


def test_the_champion_is_the_newest_promotion_that_was_done():
    start = before(ABANDONED, BEGUN, SECOND, FIRST)
    assert start.champion is not None
    assert (start.champion.model, start.champion.version, start.champion.digest) == ("tides", 2, "2")
    assert [each.version for each in start.former] == [1]
    assert start.last_number == 4  # one that was abandoned keeps its number


@pytest.mark.parametrize("promotions", [(), (BEGUN,)])
def test_without_a_promotion_that_was_done_there_is_no_champion(promotions):
    start = before(*promotions)
    assert start.champion is None and start.former == []
    assert start.last_number == (3 if promotions else 0)


def instance(run: object) -> dg.DagsterInstance:
    def get(run_id: str) -> object:
        assert run_id == "0123456789abcdef"
        if isinstance(run, Exception):
            raise run
        return run

    return SimpleNamespace(get_run_by_id=get)  # type: ignore[return-value]


@pytest.mark.promise(1)
@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (SimpleNamespace(status=dg.DagsterRunStatus.STARTED), ""),
        (SimpleNamespace(status=dg.DagsterRunStatus.FAILURE), "its run 01234567 is FAILURE in Dagster"),
        (SimpleNamespace(status=dg.DagsterRunStatus.CANCELING), "its run 01234567 is CANCELING in Dagster"),
        (None, "its run 01234567 is not known to Dagster"),
    ],
)
def test_only_a_run_that_is_in_progress_may_promote(run, reason):
    assert why_over(instance(run), "0123456789abcdef") == reason
    assert may_not_promote(instance(run), "0123456789abcdef") == reason


def test_a_run_that_dagster_does_not_answer_for_may_not_promote():
    away = instance(OSError("no route\n  to host " + "x" * 500))
    reason = may_not_promote(away, "0123456789abcdef")
    assert reason.startswith("Dagster does not say whether its run 01234567 is in progress: no route to host xxx")
    assert len(reason) < 300
