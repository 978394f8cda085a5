"""Whether the alias moves: each state of the alias, each verdict, gates first."""

from dataclasses import dataclass

import pytest

from mlops_assets.checks import CheckOutcome
from mlops_assets.decisions.promotion.alias import alias_state, decide

PASSED, FAILED = CheckOutcome("gates", True, "all pass"), CheckOutcome("gates", False, "rmse is 9, at most 5")


@dataclass(frozen=True)
class Version:
    version: int
    digest: str = "d"


@dataclass(frozen=True)
class Comparison:
    verdict: str
    reason: str = "rmse improves by 2"


BETTER, EQUAL, WORSE = Comparison("promote"), Comparison("inconclusive"), Comparison("keep")


@pytest.mark.parametrize(
    ("alias", "champion", "under_way", "had_champion", "state"),
    [
        (None, None, None, False, "none"),
        (None, None, Version(1), False, "none"),  # a crash before the first alias moved
        (None, Version(1), None, False, "lost"),
        (None, None, None, True, "lost"),  # Dagster knows of a champion, the ledger is gone
        (Version(2), Version(2), None, True, "sound"),
        (Version(1), Version(1), Version(2), True, "sound"),  # a crash before the alias moved
        (Version(2), Version(1), Version(2), True, "sound"),  # a crash after it moved
        (Version(3), Version(1), Version(2), True, "moved by hand"),
        (Version(1), Version(2), None, True, "moved by hand"),
        (Version(2, "other"), Version(2), None, True, "moved by hand"),  # the model was deleted and made anew
        (Version(1), None, None, False, "moved by hand"),  # nothing was ever promoted, whatever its tags say
    ],
)
def test_the_alias_is_sound_only_where_a_promotion_put_it(alias, champion, under_way, had_champion, state):
    assert alias_state(alias, champion, under_way, had_champion) == state


@pytest.mark.parametrize(
    ("comparison", "verdict", "moves"),
    [(BETTER, "promote", True), (EQUAL, "inconclusive", False), (WORSE, "keep", False)],
)
def test_with_a_sound_champion_the_comparison_decides(comparison, verdict, moves):
    decision = decide(PASSED, "sound", "", comparison)
    assert (decision.verdict, decision.moves, decision.reason) == (verdict, moves, comparison.reason)


@pytest.mark.promise(1)
@pytest.mark.fault(47)
def test_the_first_model_needs_its_gates_only():
    assert decide(PASSED, "none", "", None).moves
    refused = decide(FAILED, "none", "", None)
    assert (refused.verdict, refused.moves) == ("keep", False)
    assert refused.reason == "gates not passed: rmse is 9, at most 5"


@pytest.mark.promise(1)
@pytest.mark.fault(56)
@pytest.mark.parametrize("state", ["none", "sound", "lost", "moved by hand"])
def test_no_state_moves_the_alias_past_a_failed_gate(state):
    assert not decide(FAILED, state, "", BETTER).moves


@pytest.mark.promise(9)
@pytest.mark.fault(48)
@pytest.mark.parametrize(("state", "said"), [("lost", "alias is gone"), ("moved by hand", "moved outside")])
def test_an_alias_that_a_hand_touched_is_left_to_a_hand(state, said):
    decision = decide(PASSED, state, "", BETTER)
    assert (decision.verdict, decision.moves) == ("keep", False)
    assert said in decision.reason


def test_a_hold_keeps_the_verdict_and_stops_the_move():
    decision = decide(PASSED, "sound", "ana: audit", BETTER)
    assert (decision.verdict, decision.moves) == ("promote", False)
    assert "held by ana: audit" in decision.reason


@pytest.mark.promise(5)
def test_no_comparison_is_no_evidence():
    decision = decide(PASSED, "sound", "", None, "the champion cannot score these features")
    assert (decision.verdict, decision.moves) == ("inconclusive", False)
    assert decision.reason == "the champion cannot score these features"


def test_where_approval_is_required_a_promotion_waits_and_says_for_which_job():
    decision = decide(PASSED, "sound", "", BETTER, approve="bikes_approve")
    assert (decision.verdict, decision.moves, decision.waits) == ("promote", False, True)
    assert decision.reason == "rmse improves by 2; waits for approval: launch the job bikes_approve"
    assert decide(PASSED, "none", "", None, approve="bikes_approve").waits


@pytest.mark.parametrize(
    ("gates", "state", "held", "comparison"),
    [
        (PASSED, "sound", "", EQUAL),
        (PASSED, "sound", "", WORSE),
        (FAILED, "sound", "", BETTER),
        (PASSED, "lost", "", BETTER),
        (PASSED, "moved by hand", "", BETTER),
        (PASSED, "sound", "ana: audit", BETTER),  # a hold goes first
    ],
)
def test_only_what_would_move_the_alias_waits_for_approval(gates, state, held, comparison):
    decision = decide(gates, state, held, comparison, approve="bikes_approve")
    assert not decision.waits and "waits for approval" not in decision.reason


def test_without_any_record_there_never_was_a_champion():
    assert alias_state(None, None) == "none"
