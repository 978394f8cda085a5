"""The past replayed under rules of retraining: how good the champion of each day would have been, and what it cost."""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from mlops_assets.decisions.retraining.decide import decide_retraining
from mlops_assets.decisions.retraining.evidence import Alarms, Evidence, Policy
from mlops_assets.errors import TrainingError

ORACLE = "oracle"
_FEWEST_SCORED = 6
_FEWEST_PAIRS = 3


@dataclass(frozen=True)
class Arrival:
    """A batch: its labelled rows, when it came (later than the one before), and when its labels were known."""

    name: str
    rows: int
    came: datetime
    labelled: datetime


class History(Protocol):
    """What a replay asks of the past. A model is named by the position of the newest batch that its training knew."""

    @property
    def arrivals(self) -> Sequence[Arrival]:
        """All labelled batches in order."""

    def loss(self, model: int, batch: int, /) -> float:
        """Return the first metric of a model on a batch, lower is better; NaN if it is not defined."""

    def drifted(self, model: int, batch: int, /) -> bool | None:
        """Return the verdict on drift of a batch against the model's training rows; None if there is no verdict."""

    def decayed(self, model: int, batch: int, /) -> bool | None:
        """Return the verdict on a batch against the model's own holdout; None if there is no verdict."""

    def better(self, challenger: int, champion: int, /) -> bool:
        """Return whether the challenger, judged on its own holdout, is promoted over the champion."""

    def trained_rows(self, model: int, /) -> int:
        """Return the number of labelled rows that a model is fitted on."""

    def seconds(self, model: int, /) -> float:
        """Return the seconds that fitting the model took; for the report only, no decision uses it."""


@dataclass(frozen=True)
class Contender:
    """A rule of retraining to try. `ticks` are the moments of its cron; `taken` promotes without a comparison."""

    name: str
    rule: Policy
    ticks: tuple[datetime, ...] = ()
    taken: bool = False


@dataclass(frozen=True)
class Training:
    """A retraining: its model, the newest labelled batch it knew, its triggers, and whether it became champion."""

    model: int
    after: str
    triggers: tuple[str, ...]
    promoted: bool


@dataclass(frozen=True)
class PolicyResult:
    """A replay under one rule. `losses` (n,) and `champions` (n,) are of the scored batches, each on its day.

    `regret` is how much the mean loss exceeds the oracle's. `seconds` are measured: two replays differ only in them.
    """

    name: str
    losses: tuple[float, ...]
    champions: tuple[int, ...]
    trainings: tuple[Training, ...]
    regret: float = 0.0
    taken: bool = False
    seconds: float = field(default=0.0, compare=False)

    @property
    def mean(self) -> float:
        """The mean loss over the scored batches."""
        return sum(self.losses) / len(self.losses)

    @property
    def retrainings(self) -> int:
        """The number of fits after the first one, which all rules share."""
        return len(self.trainings)

    @property
    def promotions(self) -> int:
        """The number of retrainings whose model became champion."""
        return sum(each.promoted for each in self.trainings)


@dataclass(frozen=True)
class AgePoint:
    """Models `age` batches after their training: mean loss over that of fresh models on the same `pairs` batches.

    For gains (losses below 0): 1 plus the share of the gain that is lost.
    """

    age: int
    ratio: float
    pairs: int


@dataclass(frozen=True)
class Backtest:
    """What each rule would have given, in the order of the contenders, on the batches `scored`.

    `oracle` scores each batch with the model that is best in hindsight, of all that training after each labelled batch
    could have given by then. No rule can be better. The retrainings of the oracle are the models that it used.
    """

    scored: tuple[str, ...]
    results: tuple[PolicyResult, ...]
    oracle: PolicyResult
    ages: tuple[AgePoint, ...]


def backtest(history: History, contenders: Sequence[Contender], start: int) -> Backtest:
    """Replay every rule from the same first champion, trained when batch `start` was the newest labelled one.

    `decide_retraining` decides when a batch arrives, when labels become known, and at a decision's `again_at`. It also
    decides at the ticks of a cron (the first and the last between two batches). A new champion scores from the next
    batch on. Trainings succeed and end at once; no person and no new declaration interferes. Nothing is trained after
    the last batch, since nothing would be scored by it. A batch on which no model's metric is defined is left out. If
    the metric is defined for some models only, the others get the worst loss of these. Raises `TrainingError` if fewer
    than 6 batches can be scored.
    """
    arrivals = history.arrivals
    positions = [each for each in range(start + 1, len(arrivals)) if arrivals[each].came > arrivals[start].labelled]
    _enough(len(positions), len(arrivals), start)
    fresh = {each: _ready(arrivals, arrivals[each].came - timedelta.resolution) - 1 for each in positions}
    known = {each: _sound([history.loss(model, each) for model in range(start, fresh[each] + 1)]) for each in positions}
    positions = [each for each in positions if known[each]]
    _enough(len(positions), len(arrivals), start)
    best = [min(range(len(known[each])), key=known[each].__getitem__) + start for each in positions]
    oracle = _oracle(history, start, positions, known, best)
    results = []
    for contender in contenders:
        champions, trainings = _lived(history, contender, start, positions)
        losses = tuple(known[each][model - start] for each, model in zip(positions, champions, strict=True))
        seconds = sum(history.seconds(each.model) for each in trainings)
        found = PolicyResult(contender.name, losses, champions, trainings, taken=contender.taken, seconds=seconds)
        results.append(replace(found, regret=found.mean - oracle.mean))
    scored = tuple(arrivals[each].name for each in positions)
    return Backtest(scored, tuple(results), oracle, _ages(start, positions, known))


def useful_life(ages: Sequence[AgePoint], tolerance: float = 0.05) -> int | None:
    """Return the first age, in batches, at which models are worse than fresh ones by more than the share `tolerance`.

    None if no age in the history is worse by so much.
    """
    return next((each.age for each in ages if each.ratio > 1 + tolerance), None)


def _enough(scored: int, batches: int, start: int) -> None:
    if scored < _FEWEST_SCORED:
        raise TrainingError(
            f"a back-test needs at least {start + 1 + _FEWEST_SCORED} labelled batches: {start + 1} before the first "
            f"training and {_FEWEST_SCORED} to be scored after it; there are {batches}, of which {scored} can be "
            "scored. Wait for more batches, or begin with older ones."
        )


def _ready(arrivals: Sequence[Arrival], now: datetime) -> int:
    """Return how many batches, from the oldest on, have their labels at `now`."""
    return next((each for each, arrival in enumerate(arrivals) if arrival.labelled > now), len(arrivals))


def _sound(losses: list[float]) -> list[float]:
    """Replace losses that are not finite by the worst finite one; return an empty list if no loss is finite."""
    finite = [loss for loss in losses if math.isfinite(loss)]
    return [loss if math.isfinite(loss) else max(finite) for loss in losses] if finite else []


def _oracle(
    history: History, start: int, positions: Sequence[int], known: Mapping[int, Sequence[float]], best: Sequence[int]
) -> PolicyResult:
    losses = tuple(min(known[each]) for each in positions)
    used = sorted(set(best) - {start})
    trainings = tuple(Training(model, history.arrivals[model].name, (ORACLE,), True) for model in used)
    seconds = sum(history.seconds(model) for model in used)
    return PolicyResult(ORACLE, losses, tuple(best), trainings, taken=True, seconds=seconds)


@dataclass
class _Life:
    """The state of a replay: the champion, since when, the newest batch the last training knew, and what was done."""

    champion: int
    office: datetime
    answered: int
    moments: list[datetime]
    trainings: list[Training]


def _lived(
    history: History, contender: Contender, start: int, positions: Sequence[int]
) -> tuple[tuple[int, ...], tuple[Training, ...]]:
    """Return the champion that scored each batch, and the retrainings."""
    arrivals = history.arrivals
    first = arrivals[start].labelled
    life = _Life(start, first, start, [first], [])
    champions = {}
    for position in range(start + 1, len(arrivals)):
        champions[position] = life.champion
        if position + 1 < len(arrivals):
            _decide_until(history, contender, life, position)
    return tuple(champions[each] for each in positions), tuple(life.trainings)


def _decide_until(history: History, contender: Contender, life: _Life, position: int) -> None:
    """Take all decisions between a batch's arrival and the next one's."""
    arrivals = history.arrivals
    now, until = arrivals[position].came, arrivals[position + 1].came
    if now < life.office:
        return
    ticks = contender.ticks[bisect_left(contender.ticks, now) : bisect_left(contender.ticks, until)]
    fixed = {*ticks[:1], *ticks[-1:], *(each.labelled for each in arrivals if now < each.labelled < until)}
    moment: datetime | None = now
    while moment is not None and moment < until:
        clock = moment if moment in ticks else None
        evidence = _evidence(history, contender.rule, life, position, moment, clock)
        decision = decide_retraining(contender.rule, evidence, moment)
        if decision.fire:
            _train(history, contender, life, evidence.batches - 1, moment, decision.triggers)
        later = [*fixed, *([decision.again_at] if decision.again_at else [])]
        moment = min((each for each in later if each > moment), default=None)


def _train(
    history: History, contender: Contender, life: _Life, model: int, now: datetime, triggers: tuple[str, ...]
) -> None:
    fitted = math.isfinite(history.loss(model, model))
    promoted = fitted if contender.taken else history.better(model, life.champion)
    life.trainings.append(Training(model, history.arrivals[model].name, triggers, promoted))
    life.moments.append(now)
    life.answered = model
    if promoted:
        life.champion, life.office = model, now


def _evidence(
    history: History, rule: Policy, life: _Life, position: int, now: datetime, clock: datetime | None
) -> Evidence:
    """Return what would have been on record; reports are those on the champion, made while it was in charge."""
    arrivals, newest = history.arrivals, rule.confirm[1]
    ready = _ready(arrivals, now)
    unseen = range(life.answered + 1, ready)
    came = [each for each in range(life.answered + 1, position + 1) if arrivals[each].came > life.office]
    judged = [each for each in unseen if arrivals[each].labelled > life.office]
    return Evidence(
        champion=life.champion,
        champion_trained=life.office,
        drift=_alarms(history.drifted, life.champion, arrivals, came, newest if rule.on_drift else 0),
        decay=_alarms(history.decayed, life.champion, arrivals, judged, newest if rule.on_decay else 0),
        batches=ready,
        new_batches=len(unseen),
        new_rows=sum(arrivals[each].rows for each in unseen),
        since_last=len(unseen),
        trained_rows=max(history.trained_rows(life.champion), history.trained_rows(life.answered)),
        trainable_rows=history.trained_rows(ready - 1),
        data_version=str(ready - 1),
        outcome="" if unseen else "trained on before",
        last_training=life.moments[-1],
        trainings=tuple(life.moments),
        clock=clock,
    )


def _alarms(
    ask: Callable[[int, int], bool | None],
    champion: int,
    arrivals: Sequence[Arrival],
    batches: Sequence[int],
    most: int,
) -> Alarms:
    """Return the newest verdicts, oldest first; no more than the rule looks at, since each costs a test."""
    told: list[tuple[str, bool]] = []
    for batch in reversed(batches):
        if len(told) == most:
            break
        verdict = ask(champion, batch)
        if verdict is not None:
            told.insert(0, (arrivals[batch].name, verdict))
    return Alarms(tuple(name for name, _ in told), tuple(flag for _, flag in told))


def _ages(start: int, positions: Sequence[int], known: Mapping[int, Sequence[float]]) -> tuple[AgePoint, ...]:
    """Return the age curve; ages of fewer than 3 pairs are left out."""
    pairs: dict[int, list[tuple[float, float]]] = {}
    for position in positions:
        for model, loss in enumerate(known[position], start):
            pairs.setdefault(position - model, []).append((loss, known[position][-1]))
    points = []
    for age, losses in sorted(pairs.items()):
        fresh = sum(newest for _, newest in losses)
        if len(losses) >= _FEWEST_PAIRS and fresh:
            more = sum(loss for loss, _ in losses) - fresh
            points.append(AgePoint(age, 1 + more / abs(fresh), len(losses)))
    return tuple(points)
