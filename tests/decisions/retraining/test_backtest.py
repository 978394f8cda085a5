"""A replay of simulated pasts whose truth is known: what each rule costs, how models wear, which rule is best."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from mlops_assets import Retraining
from mlops_assets.decisions.retraining.backtest import (
    AgePoint,
    Arrival,
    Backtest,
    Contender,
    PolicyResult,
    backtest,
    useful_life,
)
from mlops_assets.decisions.retraining.candidates import (
    candidates,
    default_price,
    python_snippet,
    total,
    winner,
    yaml_snippet,
)
from mlops_assets.errors import MlopsAssetsError, TrainingError

DAY = timedelta(days=1)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
OFF = {"on_drift": False, "on_decay": False, "growth": None, "budget": 1_000}


@dataclass(frozen=True)
class Simulated:
    """A world that stands at `truth` of a batch; a model loses 1 plus how far the world has moved since it was trained.

    Drift and decay are seen, without error, when the world has moved by 0.5 or more.
    """

    truth: Callable[[int], float]
    count: int = 30
    delay: int = 0
    losses: tuple[tuple[int, int, float], ...] = ()

    @property
    def arrivals(self) -> Sequence[Arrival]:
        return [
            Arrival(f"b{each:02d}", 100, BEGIN + each * DAY, BEGIN + (each + self.delay) * DAY)
            for each in range(self.count)
        ]

    def loss(self, model: int, batch: int, /) -> float:
        given = {(m, b): loss for m, b, loss in self.losses}
        return given.get((model, batch), 1.0 + abs(self.truth(batch) - self.truth(model)))

    def drifted(self, model: int, batch: int, /) -> bool | None:
        return abs(self.truth(batch) - self.truth(model)) >= 0.5

    decayed = drifted

    def better(self, challenger: int, champion: int, /) -> bool:
        return self.loss(challenger, challenger) < self.loss(champion, challenger)

    def trained_rows(self, model: int, /) -> int:
        return 100 * (model + 1)

    def seconds(self, model: int, /) -> float:
        return 2.0


def jump(batch: int) -> float:
    return float(batch >= 15)


def rule(name: str, taken: bool = False, **declared: object) -> Contender:
    return Contender(name, Retraining(**{**OFF, **declared}), taken=taken)


def every(k: int, taken: bool = False) -> Contender:
    return rule(f"every {k}", taken, min_new_rows=1, cool_down=k)


def replay(history: Simulated, *contenders: Contender, start: int = 4) -> Backtest:
    return backtest(history, contenders, start)


def test_a_jump_is_answered_once_by_decay_and_at_every_tick_by_the_clock():
    found = replay(Simulated(jump), rule("never"), rule("decay", on_decay=True), every(5))
    never, decay, clock = found.results
    assert found.batches == tuple(f"b{each:02d}" for each in range(5, 30))
    assert never.mean == pytest.approx((10 * 1 + 15 * 2) / 25) and never.retrainings == 0

    # seen in b15 and b16, which confirms it; the model of b16 scores from b17 on
    assert decay.losses == (1.0,) * 10 + (2.0, 2.0) + (1.0,) * 13
    assert [(each.after, each.triggers, each.promoted) for each in decay.trainings] == [("b16", ("decay",), True)]
    assert decay.champions == (4,) * 12 + (16,) * 13

    assert [each.after for each in clock.trainings] == ["b09", "b14", "b19", "b24"]  # after b29 nothing is scored
    assert [each.promoted for each in clock.trainings] == [False, False, True, False]
    assert clock.seconds == 8.0 and clock.losses == (1.0,) * 10 + (2.0,) * 5 + (1.0,) * 10


def test_the_oracle_takes_the_best_model_that_was_there_and_regret_is_measured_against_it():
    found = replay(Simulated(jump), rule("never"), every(1, taken=True))
    # only the batch of the jump itself cannot be foreseen
    assert found.oracle.mean == pytest.approx((24 * 1 + 2) / 25)
    assert found.oracle.retrainings == found.oracle.promotions == 1 and found.oracle.trainings[0].after == "b15"
    never, always = found.results
    assert never.regret == pytest.approx(14 / 25) and always.regret == pytest.approx(0)
    assert always.retrainings == always.promotions == 24


def test_no_rule_beats_the_oracle_in_a_world_that_moves_back_and_forth():
    found = replay(Simulated(lambda batch: (batch * 7) % 5 / 2), every(1), every(3), rule("drift", on_drift=True))
    assert all(each.regret >= 0 for each in found.results)
    for each in found.results:
        assert all(best <= loss for best, loss in zip(found.oracle.losses, each.losses, strict=True))


def test_models_wear_linearly_in_a_world_that_moves_at_one_speed():
    found = replay(Simulated(lambda batch: 0.02 * batch), rule("never"))
    assert found.ages[0] == AgePoint(1, 1.0, 25)
    # 1 + 0.02 * age over 1.02; fewer than 3 pairs are not told
    assert [each.ratio for each in found.ages] == pytest.approx([(1 + 0.02 * age) / 1.02 for age in range(1, 24)])
    assert [each.pairs for each in found.ages] == list(range(25, 2, -1))
    assert useful_life(found.ages) == 4  # 1.08 / 1.02 is 5.9% more, 1.06 / 1.02 is 3.9%
    assert useful_life(found.ages, tolerance=0.5) is None


def test_labels_that_come_late_delay_the_answer_by_as_much():
    found = replay(Simulated(jump, delay=3), rule("decay", on_decay=True), rule("drift", on_drift=True))
    decay, drift = found.results
    assert found.batches[0] == "b08"  # the labels of b04 are known with b07, when the first champion is trained
    # decay of b15 and b16 is known when the labels of b16 are, with b19; the model knows b16 and scores from b20 on
    assert (decay.trainings[0].after, decay.losses.count(2.0)) == ("b16", 5)
    # drift is confirmed with b16, but what can be trained then knows labels up to b13 only, and helps nothing
    assert drift.trainings[0].after == "b13" and not drift.trainings[0].promoted


def test_a_cron_asks_at_its_ticks_and_age_when_it_is_due():
    ticks = tuple(BEGIN + timedelta(days=days, hours=3) for days in (7, 14, 21, 28))
    weekly = Contender("weekly", Retraining(**OFF, cron="0 3 * * 4"), ticks)
    found = replay(Simulated(jump), weekly, rule("age", max_age="10D"))
    assert [each.after for each in found.results[0].trainings] == ["b07", "b14", "b21", "b28"]
    assert [each.triggers for each in found.results[0].trainings] == [("schedule",)] * 4
    assert [each.promoted for each in found.results[0].trainings] == [False, False, True, False]
    assert [each.after for each in found.results[1].trainings] == ["b14", "b24"]


def test_cool_down_and_budget_hold_back_as_they_would():
    tight = rule("tight", min_new_rows=1, budget=3, period="10D", cool_down=1)
    slow = rule("slow", min_new_rows=1, cool_down="4D")
    found = replay(Simulated(jump), tight, slow)
    # the first training, on day 4, counts; a place is free when it is ten days old
    assert [each.after for each in found.results[0].trainings][:4] == ["b05", "b06", "b14", "b15"]
    assert [each.after for each in found.results[1].trainings][:3] == ["b08", "b12", "b16"]


def test_a_metric_that_is_not_defined_counts_for_nobody():
    nan = float("nan")
    everywhere = tuple((model, 20, nan) for model in range(4, 20))
    broken = ((4, 10, nan), (9, 10, 5.0))
    found = replay(Simulated(jump, losses=everywhere + broken), rule("never"), every(5))
    assert "b20" not in found.batches and len(found.batches) == 24
    # the model of b04 has no figure on b10 and gets the worst of the others
    assert found.results[0].losses[5] == 5.0


def test_the_same_past_gives_the_same_result_whatever_the_clock_measured():
    class Slower(Simulated):
        def seconds(self, model: int, /) -> float:
            return 7.0 * model

    contenders = [rule("never"), every(3), rule("decay", on_decay=True)]
    one, other = replay(Simulated(jump), *contenders), replay(Slower(jump), *contenders)
    assert one == other and one.results[1].seconds != other.results[1].seconds


def test_too_short_a_past_says_what_is_there_and_what_is_needed():
    with pytest.raises(TrainingError, match=r"at least 11 labelled batches.* there are 9, of which 4 can be"):
        replay(Simulated(jump, count=9), rule("never"))


def lived(name: str, mean: float, retrainings: int, taken: bool = False) -> PolicyResult:
    some = replay(Simulated(jump), every(1)).results[0].trainings[:1]
    return PolicyResult(name=name, losses=(mean,) * 20, champions=(0,) * 20, trainings=some * retrainings, taken=taken)


def test_the_winner_depends_on_the_price_and_ties_go_to_fewer_retrainings():
    never, some, often = lived("never", 2.0, 0), lived("some", 1.1, 4), lived("often", 1.0, 20)
    all_of = [often, never, some]
    assert total(some, 2.0) == pytest.approx(1.1 + 2.0 * 4 / 20)
    assert [winner(all_of, price).name for price in (1e-6, 1.0, 10.0)] == ["often", "some", "never"]
    assert default_price(all_of) == pytest.approx(0.1)
    assert default_price([lived("gain", -5.0, 1)]) == pytest.approx(0.5)
    assert winner([lived("one", 1.0, 3), lived("two", 1.0, 2)], 0.0, equal=0).name == "two"
    assert winner([lived("one", 1.0, 2), lived("two", 1.0, 2)], 0.0).name == "one"
    # within 1% counts as equal unless asked otherwise
    close = [lived("best", 1.0, 9), lived("as good", 1.009, 5), lived("worse", 1.011, 1)]
    assert [winner(close, 1e-6, equal).name for equal in (0.01, 0.0)] == ["as good", "best"]


def test_what_cannot_be_declared_does_not_win():
    assert winner([lived("blind", 0.5, 1, taken=True), lived("real", 1.0, 5)], 0.1).name == "real"
    with pytest.raises(MlopsAssetsError, match="no policy that was replayed can be declared"):
        winner([lived("blind", 0.5, 1, taken=True)], 0.1)


def test_growth_asks_at_each_doubling_since_the_last_training():
    (life,) = replay(Simulated(lambda batch: 0.0), rule("growth", growth=2.0)).results
    assert [(each.after, each.triggers) for each in life.trainings] == [("b09", ("growth",)), ("b19", ("growth",))]


@pytest.mark.parametrize("declared", [{}, {"cron": "0 3 * * 1", "first_after": 7, "max_age": "30D", "budget": 3}])
def test_every_trial_is_a_retraining_and_its_snippets_give_it_back(declared):
    base = Retraining(**declared)
    known = candidates(base.model_dump(), batches=40, rows=500, days=1.0)
    assert len({each.name for each in known}) == len(known)
    for each in known:
        built = Retraining(**{**base.model_dump(), **each.changes})
        settings = built.model_dump(exclude_defaults=True)
        namespace = {"Retraining": Retraining}
        assert eval("dict(" + python_snippet(settings) + ")", namespace)["retraining"] == built
        assert Retraining(**yaml.safe_load(yaml_snippet(settings))["retraining"]) == built


def test_trials_suit_the_past():
    base = Retraining().model_dump()
    monthly = {each.name: each for each in candidates(base, batches=17, rows=500, days=30.4)}
    few = {each.name: each for each in candidates(base, batches=3, rows=500, days=None)}
    assert list(few) == [
        *("never", "declared", "every batch", "every 2 batches", "drift", "drift at once", "decay", "decay at once"),
        *("volume", "growth", "drift or decay", "every batch, taken", "every 2 batches, taken"),
    ]
    every_second = few["every 2 batches"].changes
    assert {name: value for name, value in every_second.items() if value} == {"min_new_rows": 1, "cool_down": 2}
    assert [name for name, each in few.items() if each.taken] == list(few)[-2:]
    assert "every 12 batches" in monthly and not any(name.startswith("cron") for name in monthly)
    assert monthly["volume"].changes["min_new_rows"] == 1_500
    hourly = {each.name: each for each in candidates(base, batches=5, rows=0, days=1 / 24)}
    assert {"cron 0 3 * * 1", "cron 0 3 1 * *"} <= set(hourly) and "every 6 batches" not in hourly
    # 720 batches in the 30 days that the budget is counted over
    assert hourly["every batch"].changes["budget"] == 722
    assert "cron 0 3 * * 1" not in {each.name for each in candidates(base, batches=17, rows=500, days=3.5)}
    timeless = {each.name for each in candidates({**base, "cron": "0 3 * * 1"}, 17, 500, None)}
    assert not any(name.startswith("cron") for name in timeless)


def test_every_batch_of_an_hourly_stream_is_not_held_back_by_the_budget():
    hourly = Simulated(jump)
    arrivals = [
        replace(each, time=BEGIN + n * DAY / 24, label_time=BEGIN + n * DAY / 24)
        for n, each in enumerate(hourly.arrivals)
    ]
    known = {each.name: each for each in candidates(Retraining().model_dump(), 25, 100, 1 / 24)}

    class Hourly(Simulated):
        @property
        def arrivals(self) -> Sequence[Arrival]:
            return arrivals

    changed = Retraining(**{**Retraining().model_dump(), **known["every batch"].changes})
    declared = Retraining(on_drift=False, on_decay=False, min_new_rows=1)
    found = replay(Hourly(jump), Contender("raised", changed), Contender("declared", declared))
    assert [each.retrainings for each in found.results] == [24, 9]  # the first training is the tenth of the budget


def test_a_training_that_did_not_help_has_answered_the_alarms_it_knew():
    # the models of b16 and b18 are no better than the champion
    stuck = Simulated(jump, losses=((16, 16, 2.0), (18, 18, 2.0)))
    (life,) = replay(stuck, rule("drift", on_drift=True, confirm=(2, 2))).results
    assert [(each.after, each.promoted) for each in life.trainings] == [("b16", False), ("b18", False), ("b20", True)]
