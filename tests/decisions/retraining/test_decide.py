"""When a training is asked for, what holds it back, and that the same evidence is the same decision."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_assets import Retraining
from mlops_assets.decisions.retraining.decide import confirmed, decide_retraining, duration
from mlops_assets.decisions.retraining.evidence import Alarms, Evidence

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CALM = Evidence(
    champion=3,
    champion_trained=NOW - timedelta(days=10),
    drift=Alarms(("b1", "b2", "b3"), (False, False, False)),
    decay=Alarms(("b1", "b2", "b3"), (False, False, False)),
    batches=12,
    new_batches=3,
    new_rows=300,
    since_last=3,
    data_version="d1",
    declaration_version="v1",
    last_training=NOW - timedelta(days=10),
)


def decide(evidence: Evidence, now: datetime = NOW, **declared):
    return decide_retraining(Retraining(**declared), evidence, now)


def alarms(*flags: bool) -> Alarms:
    return Alarms(tuple(f"b{number}" for number, _ in enumerate(flags, start=1)), flags)


def test_calm_evidence_asks_for_nothing_and_says_so():
    decision = decide(CALM)
    assert (decision.verdict, decision.reason) == ("hold", "nothing asks for a training")
    assert [row["condition"] for row in decision.table()][:4] == ["drift", "decay", "volume", "age"]


@pytest.mark.parametrize(
    ("change", "declared", "trigger"),
    [
        ({"drift": alarms(True, False, True)}, {}, "drift"),
        ({"decay": alarms(False, True, True)}, {}, "decay"),
        ({"new_rows": 5_000}, {"min_new_rows": 5_000}, "volume"),
        ({"champion_trained": NOW - timedelta(days=30), "last_training": None}, {"max_age": "30D"}, "age"),
        ({"trained_rows": 2_400, "trainable_rows": 4_800}, {}, "growth"),
        ({"trained_rows": 2_400, "trainable_rows": 3_600}, {"growth": 1.5}, "growth"),
        ({"never_trained": True}, {}, "new version"),
        ({"clock": NOW}, {"cron": "0 12 * * *"}, "schedule"),
        ({"unfinished": "run 1 failed"}, {}, "unfinished"),
        ({"champion": None, "batches": 2}, {}, "first training"),
    ],
)
def test_each_trigger_fires_by_itself(change, declared, trigger):
    decision = decide(replace(CALM, **change), **declared)
    assert (decision.verdict, decision.triggers, decision.holds) == ("fire", (trigger,), ())
    assert decision.reason.startswith(f"{trigger}: ")


@pytest.mark.parametrize(
    ("change", "declared"),
    [
        ({"drift": alarms(True, True, True)}, {"on_drift": False}),
        ({"decay": alarms(True, True, True)}, {"on_decay": False}),
        ({"drift": alarms(True, False, False, True)}, {}),  # two of four, but one of the newest three
        ({"new_rows": 4_999}, {"min_new_rows": 5_000}),
        ({"champion_trained": NOW - timedelta(days=29)}, {"max_age": "30D"}),
        ({"trained_rows": 2_400, "trainable_rows": 4_799}, {}),
        ({"trained_rows": 2_400, "trainable_rows": 48_000}, {"growth": None}),
        ({"never_trained": True}, {"on_new_version": False}),
        ({"champion": None, "batches": 6}, {"first_after": 7}),
        ({"champion": None, "batches": 9, "waits": True}, {}),
    ],
)
def test_what_is_not_declared_or_not_enough_asks_for_nothing(change, declared):
    assert decide(replace(CALM, **change), **declared).triggers == ()


ASKED = replace(CALM, decay=alarms(True, True, True))


@pytest.mark.parametrize(
    ("change", "declared", "hold"),
    [
        ({"data_version": None, "cannot_train": "no batch is left"}, {}, "no training set"),
        ({"cannot_train": "15 labelled rows to train on"}, {}, "no training set"),
        ({"outcome": "keep (version 4)"}, {}, "trained already"),
        ({"nothing_new": True}, {}, "nothing new"),
        ({"under_way": "run 7"}, {}, "under way"),
        ({"intake": 2, "intake_since": NOW - timedelta(minutes=14)}, {}, "taking in"),
        ({"failures": 3, "last_failure": NOW - timedelta(days=1)}, {}, "given up"),
        ({"failures": 1, "last_failure": NOW - timedelta(days=1), "cancelled": True}, {}, "given up"),
        ({"failures": 1, "last_failure": NOW - timedelta(seconds=59)}, {}, "wait before retry"),
        ({"since_last": 1}, {"cool_down": 2}, "cool-down"),
        ({"last_training": NOW - timedelta(hours=11)}, {"cool_down": "12h"}, "cool-down"),
        ({"trainings": (NOW - timedelta(days=29), NOW - timedelta(days=2))}, {"budget": 2}, "budget"),
    ],
)
def test_each_hold_holds_back_what_a_trigger_asks_for_and_is_named(change, declared, hold):
    decision = decide(replace(ASKED, **change), **declared)
    assert (decision.verdict, decision.triggers, decision.holds) == ("hold", ("decay",), (hold,))
    assert decision.reason.startswith("decay: 3 of the newest 3 batches (b1, b2, b3). Held back by " + hold)


@pytest.mark.parametrize(
    ("change", "declared"),
    [
        ({"intake": 2, "intake_since": NOW - timedelta(minutes=15)}, {}),  # a stream of batches starves nothing
        ({"failures": 1, "last_failure": NOW - timedelta(minutes=1)}, {}),
        ({"since_last": 2}, {"cool_down": 2}),
        ({"last_training": NOW - timedelta(hours=12)}, {"cool_down": "12h"}),
        ({"trainings": (NOW - timedelta(days=31), NOW - timedelta(days=2))}, {"budget": 2}),
    ],
)
def test_a_hold_ends(change, declared):
    assert decide(replace(ASKED, **change), **declared).fire


@pytest.mark.promise(2)
@pytest.mark.fault(54)
def test_a_failed_training_is_repeated_whatever_cool_down_and_budget_say():
    failed = replace(
        CALM, unfinished="run 1 failed", failures=1, last_failure=NOW - timedelta(seconds=90), since_last=0,
        trainings=(NOW - timedelta(days=1),),
    )  # fmt: skip
    assert decide(failed, cool_down=5, budget=1).fire
    assert not decide(replace(failed, failures=2), cool_down=5, budget=1).fire  # the second wait is two minutes
    assert decide(replace(failed, failures=2), NOW + timedelta(minutes=1), cool_down=5, budget=1).fire


def test_the_rows_of_the_champion_are_not_trained_on_again_but_what_was_begun_is_carried_on_with():
    held = decide(replace(ASKED, nothing_new=True))
    assert held.reason.endswith(
        "Held back by nothing new: the rows to train on would be those of champion version 3: nothing new to learn"
    )
    assert decide(replace(ASKED, nothing_new=True, outcome="keep (version 4)")).holds == ("trained already",)
    assert decide(replace(ASKED, nothing_new=True, unfinished="run 1 failed")).fire


@pytest.mark.fault(41)
def test_a_clock_that_was_set_back_starves_nothing():
    ahead = NOW + timedelta(days=1)
    failed = replace(CALM, unfinished="run 1 failed", failures=1, last_failure=ahead)
    assert decide(failed).fire
    assert decide(replace(ASKED, intake=1, intake_since=ahead)).fire
    assert decide(replace(ASKED, last_training=ahead), cool_down="12h").fire


def test_the_pause_after_a_failure_has_an_end_however_many_there_were():
    failed = replace(CALM, unfinished="run 1 failed", failures=99, last_failure=NOW - timedelta(hours=6))
    assert decide(failed, attempts=100).fire


def test_a_training_that_always_fails_is_tried_ever_more_seldom_though_each_batch_is_other_data():
    failed = replace(CALM, unfinished="run 4 failed", in_a_row=4, last_failure=NOW - timedelta(minutes=7))
    assert decide(failed).holds == ("wait before retry",)
    assert decide(failed, NOW + timedelta(minutes=1)).fire


def test_the_age_counts_from_the_last_training_where_that_did_not_replace_the_champion():
    old = replace(CALM, champion_trained=NOW - timedelta(days=40))
    assert decide(replace(old, last_training=NOW - timedelta(days=1)), max_age="30D").triggers == ()
    assert decide(replace(old, last_training=NOW - timedelta(days=30)), max_age="30D").triggers == ("age",)


def test_the_clock_does_not_wait_for_batches_that_are_being_taken_in():
    assert decide(replace(CALM, clock=NOW, intake=3, intake_since=NOW)).fire


def test_the_same_evidence_is_the_same_decision_however_late_it_is_asked_for():
    later = decide(ASKED, NOW + timedelta(hours=5), max_age="90D")
    assert later.key == decide(ASKED, max_age="90D").key
    assert decide(replace(ASKED, new_rows=301)).key != decide(ASKED).key
    # what is under way makes no decision of its own where nothing asks for a training
    assert decide(replace(CALM, under_way="run 7", intake=1)).key == decide(CALM).key
    assert decide(replace(ASKED, under_way="run 7")).key != decide(ASKED).key


def test_the_decision_knows_when_it_will_change_by_itself():
    assert decide(CALM, max_age="30D").again_at == CALM.champion_trained + timedelta(days=30)
    waiting = replace(ASKED, last_training=NOW - timedelta(hours=11))
    assert decide(waiting, cool_down="12h").again_at == NOW + timedelta(hours=1)
    spent = replace(ASKED, trainings=(NOW - timedelta(days=29), NOW - timedelta(days=2)))
    assert decide(spent, budget=2).again_at == NOW + timedelta(days=1)
    assert decide(CALM).again_at is None


@pytest.mark.fault(53)
@given(st.lists(st.booleans(), max_size=12), st.integers(1, 4), st.integers(0, 4))
def test_confirmed_counts_the_newest(flags, k, more):
    assert confirmed(flags, k, k + more) == (sum(flags[-(k + more) :]) >= k)


@pytest.mark.fault(52, 53)
@given(
    st.lists(st.integers(0, 400), max_size=12),
    st.integers(1, 4),
    st.integers(0, 3),
    st.booleans(),
)
def test_the_budget_is_never_exceeded(hours, budget, since_last, unfinished):
    evidence = replace(ASKED, trainings=tuple(NOW - timedelta(hours=each) for each in hours), since_last=since_last)
    if decide(evidence, budget=budget, period="7D", cool_down=2).fire:
        assert sum(each < 7 * 24 for each in hours) < budget
        assert since_last >= 2


def test_durations():
    assert [duration(text) for text in ("90min", "12h", "30D", "2W")] == [
        timedelta(minutes=90),
        timedelta(hours=12),
        timedelta(days=30),
        timedelta(weeks=2),
    ]
    with pytest.raises(ValueError, match="'soon' is not a duration"):
        duration("soon")


def test_the_table_says_what_asks_for_a_training_and_what_waits():
    spoken = {row["condition"]: row["says"] for row in decide(replace(ASKED, under_way="run 7")).table()}
    assert {name: says for name, says in spoken.items() if says} == {"decay": "train", "under way": "wait"}
    assert list(spoken)[:2] == ["decay", "under way"]


def test_a_training_that_waits_for_batches_is_asked_for_again_when_the_wait_is_over():
    waiting = replace(ASKED, intake=2, intake_since=NOW - timedelta(minutes=14))
    assert decide(waiting).again_at == NOW + timedelta(minutes=1)
    failed = replace(CALM, unfinished="run 1 failed", failures=2, last_failure=NOW - timedelta(seconds=90))
    assert decide(failed).again_at == NOW + timedelta(seconds=30)
