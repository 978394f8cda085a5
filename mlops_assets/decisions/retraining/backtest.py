"""The past replayed under rules of retraining: how good the champion of each day would have been, and what it cost."""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
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
    time: datetime
    label_time: datetime


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


@dataclass(frozen=True, kw_only=True)
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
        return sum(training.promoted for training in self.trainings)


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
    """What each rule would have given, in the order of the contenders, on the scored `batches`.

    `oracle` scores each batch with the model that is best in hindsight, of all that training after each labelled batch
    could have given by then. No rule can be better. The retrainings of the oracle are the models that it used.
    """

    batches: tuple[str, ...]
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
    later = [batch for batch in range(start + 1, len(arrivals)) if arrivals[batch].time > arrivals[start].label_time]
    _require_enough(len(later), len(arrivals), start)
    losses = {}
    for batch in later:
        models = range(start, _labelled_count(arrivals, arrivals[batch].time - timedelta.resolution))
        losses[batch] = _finite([history.loss(model, batch) for model in models])
    losses = {batch: of_models for batch, of_models in losses.items() if of_models}
    _require_enough(len(losses), len(arrivals), start)
    best = {batch: of_models.index(min(of_models)) + start for batch, of_models in losses.items()}
    used = sorted({*best.values()} - {start})
    fits = [Training(model, arrivals[model].name, (ORACLE,), True) for model in used]
    oracle = _result(history, ORACLE, True, start, losses, best, fits)
    results = []
    for contender in contenders:
        replay = _Replay(history, contender, start)
        result = _result(history, contender.name, contender.taken, start, losses, replay.champions(), replay.trainings)
        results.append(replace(result, regret=result.mean - oracle.mean))
    return Backtest(tuple(arrivals[batch].name for batch in losses), tuple(results), oracle, _ages(start, losses))


def useful_life(ages: Sequence[AgePoint], tolerance: float = 0.05) -> int | None:
    """Return the first age, in batches, at which models are worse than fresh ones by more than the share `tolerance`.

    None if no age in the history is worse by so much.
    """
    return next((point.age for point in ages if point.ratio > 1 + tolerance), None)


def _require_enough(scored: int, batches: int, start: int) -> None:
    if scored < _FEWEST_SCORED:
        raise TrainingError(
            f"a back-test needs at least {start + 1 + _FEWEST_SCORED} labelled batches: {start + 1} before the first "
            f"training and {_FEWEST_SCORED} to be scored after it; there are {batches}, of which {scored} can be "
            "scored. Wait for more batches, or begin with older ones."
        )


def _labelled_count(arrivals: Sequence[Arrival], now: datetime) -> int:
    """Return how many batches, from the oldest on, have their labels at `now`."""
    return next((batch for batch, arrival in enumerate(arrivals) if arrival.label_time > now), len(arrivals))


def _finite(losses: Sequence[float]) -> list[float]:
    """Replace losses that are not finite by the worst finite one; return an empty list if no loss is finite."""
    finite = [loss for loss in losses if math.isfinite(loss)]
    return [loss if math.isfinite(loss) else max(finite) for loss in losses] if finite else []


def _result(
    history: History,
    name: str,
    taken: bool,
    start: int,
    losses: Mapping[int, Sequence[float]],
    champions: Mapping[int, int],
    trainings: Sequence[Training],
) -> PolicyResult:
    return PolicyResult(
        name=name,
        losses=tuple(of_models[champions[batch] - start] for batch, of_models in losses.items()),
        champions=tuple(champions[batch] for batch in losses),
        trainings=tuple(trainings),
        taken=taken,
        seconds=sum(history.seconds(training.model) for training in trainings),
    )


class _Replay:
    """The state of a replay: the champion, since when, the newest batch the last training knew, and what was done."""

    def __init__(self, history: History, contender: Contender, start: int) -> None:
        self.history, self.arrivals, self.contender = history, history.arrivals, contender
        self.champion = self.last_known = start
        self.since = self.arrivals[start].label_time
        self.moments = [self.since]
        self.trainings: list[Training] = []

    def champions(self) -> dict[int, int]:
        """Replay all batches; return the champion that scores each."""
        champions = {}
        for batch in range(self.champion + 1, len(self.arrivals)):
            champions[batch] = self.champion
            if batch + 1 < len(self.arrivals):
                self._decide_until_next(batch)
        return champions

    def _decide_until_next(self, batch: int) -> None:
        """Take all decisions between a batch's arrival and the next one's."""
        now, until = self.arrivals[batch].time, self.arrivals[batch + 1].time
        if now < self.since:
            return
        ticks = self.contender.ticks
        ticks = ticks[bisect_left(ticks, now) : bisect_left(ticks, until)]
        fixed = [*ticks[:1], *ticks[-1:], *(arrival.label_time for arrival in self.arrivals)]
        moment: datetime | None = now
        while moment is not None and moment < until:
            evidence = self._evidence(batch, moment, moment if moment in ticks else None)
            decision = decide_retraining(self.contender.rule, evidence, moment)
            if decision.fire:
                self._train(evidence.batches - 1, moment, decision.triggers)
            later = [*fixed, *([decision.again_at] if decision.again_at else [])]
            moment = min((other for other in later if other > moment), default=None)

    def _train(self, model: int, now: datetime, triggers: tuple[str, ...]) -> None:
        fitted = math.isfinite(self.history.loss(model, model))
        promoted = fitted if self.contender.taken else self.history.better(model, self.champion)
        self.trainings.append(Training(model, self.arrivals[model].name, triggers, promoted))
        self.moments.append(now)
        self.last_known = model
        if promoted:
            self.champion, self.since = model, now

    def _evidence(self, batch: int, now: datetime, clock: datetime | None) -> Evidence:
        """Return what would have been on record; reports are those on the champion, made while it was in charge."""
        history, rule, arrivals = self.history, self.contender.rule, self.arrivals
        ready = _labelled_count(arrivals, now)
        unseen = range(self.last_known + 1, ready)
        new_arrivals = [new for new in range(self.last_known + 1, batch + 1) if arrivals[new].time > self.since]
        new_labels = [new for new in unseen if arrivals[new].label_time > self.since]
        return Evidence(
            champion=self.champion,
            champion_trained=self.since,
            drift=self._alarms(history.drifted, new_arrivals) if rule.on_drift else Alarms(),
            decay=self._alarms(history.decayed, new_labels) if rule.on_decay else Alarms(),
            batches=ready,
            new_batches=len(unseen),
            new_rows=sum(arrivals[new].rows for new in unseen),
            since_last=len(unseen),
            trained_rows=max(history.trained_rows(self.champion), history.trained_rows(self.last_known)),
            trainable_rows=history.trained_rows(ready - 1),
            data_version=str(ready - 1),
            outcome="" if unseen else "trained on before",
            last_training=self.moments[-1],
            trainings=tuple(self.moments),
            clock=clock,
        )

    def _alarms(self, verdict: Callable[[int, int], bool | None], batches: Sequence[int]) -> Alarms:
        """Return the newest verdicts, oldest first; no more than the rule looks at, since each costs a test."""
        verdicts = ((self.arrivals[batch].name, verdict(self.champion, batch)) for batch in reversed(batches))
        known = ((name, flag) for name, flag in verdicts if flag is not None)
        newest = list(islice(known, self.contender.rule.confirm[1]))[::-1]
        return Alarms(tuple(name for name, _ in newest), tuple(flag for _, flag in newest))


def _ages(start: int, losses: Mapping[int, Sequence[float]]) -> tuple[AgePoint, ...]:
    """Return the age curve; ages of fewer than 3 pairs are left out."""
    pairs: dict[int, list[tuple[float, float]]] = {}
    for batch, of_models in losses.items():
        for model, loss in enumerate(of_models, start):
            pairs.setdefault(batch - model, []).append((loss, of_models[-1]))
    points = []
    for age, of_age in sorted(pairs.items()):
        fresh = sum(newest for _, newest in of_age)
        if len(of_age) >= _FEWEST_PAIRS and fresh:
            more = sum(loss for loss, _ in of_age) - fresh
            points.append(AgePoint(age, 1 + more / abs(fresh), len(of_age)))
    return tuple(points)
