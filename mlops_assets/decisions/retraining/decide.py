"""Whether a new challenger is trained now: triggers that ask for it, holds that delay it, and the evidence."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from mlops_assets.decisions.retraining.evidence import Alarms, Evidence, Policy
from mlops_assets.text import counted

_UNITS = {"min": "minutes", "h": "hours", "D": "days", "W": "weeks"}
_FIRST_WAIT = timedelta(minutes=1)
_LONGEST_WAIT = timedelta(hours=6)
_LONGEST_INTAKE = timedelta(minutes=15)
_UNDECLARED = "not declared"
TAKING_IN = "taking in"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A trigger asks for a training if it is `met`; a hold that is `met` delays the training.

    `until` is the moment at which the condition changes by itself, if it does.
    """

    role: Literal["trigger", "hold"]
    name: str
    met: bool
    fact: str
    rule: str
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class RetrainingDecision:
    """The decision to fire or hold, the reason, and every condition."""

    fire: bool
    reason: str
    triggers: tuple[str, ...]
    holds: tuple[str, ...]
    conditions: tuple[Condition, ...]
    key: str
    again_at: datetime | None

    @property
    def verdict(self) -> Literal["fire", "hold"]:
        """The decision in a word."""
        return "fire" if self.fire else "hold"

    def table(self) -> list[dict[str, Any]]:
        """Return one row for each condition, for people to read; the deciding conditions come first."""
        says = {"trigger": "train", "hold": "wait"}
        rows = [
            {"condition": one.name, "says": says[one.role] if one.met else "", "found": one.fact, "needed": one.rule}
            for one in self.conditions
        ]
        return sorted(rows, key=lambda row: not row["says"])


def confirmed(flags: Sequence[bool], k: int, n: int) -> bool:
    """Return whether at least k of the newest n flags are raised; the newest is the last."""
    return sum(flags[-n:]) >= k


def duration(text: str) -> timedelta:
    """Return a declared duration, such as '12h' or '30D', as a timedelta."""
    parts = re.fullmatch(r"(\d+)(min|h|D|W)", text)
    if parts is None:
        raise ValueError(f"{text!r} is not a duration such as '12h' or '30D'")
    return timedelta(**{_UNITS[parts[2]]: int(parts[1])})


def decide_retraining(policy: Policy, evidence: Evidence, now: datetime) -> RetrainingDecision:
    """Fire if some trigger is met and no hold is met.

    Equal evidence gives an equal `key` at any time, so that the decision is recorded once. Neither cool-down nor budget
    delays the repetition of a failed training. A cool-down does not delay the first training.
    """
    triggers = _triggers(policy, evidence, now)
    asking = [trigger for trigger in triggers if trigger.met]
    holds = _holds(policy, evidence, now, again=any(trigger.name == "unfinished" for trigger in asking))
    holding = [hold for hold in holds if hold.met]
    reason = "; ".join(f"{trigger.name}: {trigger.fact}" for trigger in asking) or "nothing asks for a training"
    if asking and holding:
        reason += ". Held back by " + "; ".join(f"{hold.name}: {hold.fact}" for hold in holding)
    conditions = (*triggers, *holds)
    # What is under way matters only if a training is asked for; else each run would make a decision of its own.
    weighed = conditions if asking else triggers
    identity = json.dumps([_identity(evidence), [(one.name, one.met) for one in weighed]], sort_keys=True, default=str)
    return RetrainingDecision(
        fire=bool(asking) and not holding,
        reason=reason,
        triggers=tuple(trigger.name for trigger in asking),
        holds=tuple(hold.name for hold in holding),
        conditions=conditions,
        key=hashlib.sha256(identity.encode()).hexdigest()[:16],
        again_at=min((one.until for one in weighed if one.until is not None and one.until > now), default=None),
    )


def _triggers(policy: Policy, evidence: Evidence, now: datetime) -> list[Condition]:
    if evidence.champion is None:
        enough = evidence.batches >= policy.first_after and not evidence.waits
        waits = ", a version waits for approval" if evidence.waits else ""
        fact = f"{_batches(evidence.batches, 'labelled batch')}, no champion{waits}"
        first = [_trigger("first training", enough, fact, _batches(policy.first_after, "labelled batch"))]
    else:
        first = [
            _alarm("drift", policy.on_drift, evidence.drift, policy.confirm),
            _alarm("decay", policy.on_decay, evidence.decay, policy.confirm),
            _volume(policy, evidence),
            _age(policy, evidence, now),
            _growth(policy, evidence),
        ]
    clock, unfinished = evidence.clock, evidence.unfinished
    due = f"due {clock:%Y-%m-%d %H:%M}" if clock else "no tick is due"
    return [
        *first,
        _version(policy, evidence),
        _trigger("schedule", clock is not None, due, "a tick of the declared cron"),
        _trigger("unfinished", bool(unfinished), unfinished or "none", "a training that failed"),
    ]


def _trigger(name: str, met: bool, fact: str, rule: str, until: datetime | None = None) -> Condition:
    return Condition(role="trigger", name=name, met=met, fact=fact, rule=rule, until=until)


def _batches(count: int, one: str = "batch") -> str:
    return counted(count, one, f"{one}es")


def _alarm(name: str, on: bool, alarms: Alarms, confirm: tuple[int, int]) -> Condition:
    k, n = confirm
    newest = list(zip(alarms.batches, alarms.flags, strict=True))[-n:]
    raised = [batch for batch, flag in newest if flag]
    fact = f"{len(raised)} of the newest {_batches(len(newest))}" + (f" ({', '.join(raised)})" if raised else "")
    rule = f"{k} of the newest {_batches(n)}" if on else _UNDECLARED
    return _trigger(name, on and confirmed(alarms.flags, k, n), fact, rule)


def _volume(policy: Policy, evidence: Evidence) -> Condition:
    rows, least = evidence.new_rows, policy.min_new_rows
    batches = f"{_batches(evidence.new_batches)} unknown to champion and last training"
    fact = f"{counted(rows, 'labelled row', 'labelled rows')} in {batches}"
    rule = _UNDECLARED if least is None else f"{least:,} rows"
    return _trigger("volume", least is not None and rows >= least, fact, rule)


def _age(policy: Policy, evidence: Evidence, now: datetime) -> Condition:
    trained = evidence.champion_trained
    fact = f"trained {trained:%Y-%m-%d %H:%M}" if trained else "unknown"
    if policy.max_age is None or trained is None:
        return _trigger("age", False, fact, _UNDECLARED)
    last = max(trained, evidence.last_training or trained)  # a training without promotion answers the trigger too
    if last > trained:
        fact += f", last tried {last:%Y-%m-%d %H:%M}"
    due = last + duration(policy.max_age)
    return _trigger("age", now >= due, fact, f"{policy.max_age}, over at {due:%Y-%m-%d %H:%M}", due)


def _growth(policy: Policy, evidence: Evidence) -> Condition:
    """Fire when rows have grown `growth` times: at any scale, more rows make a better model without drift or decay."""
    times, before, rows = policy.growth, evidence.trained_rows, evidence.trainable_rows
    fact = f"{rows:,} labelled rows to train on, {before:,} at the champion's training or the last one"
    rule = _UNDECLARED if times is None else f"{times:g} times as many"
    return _trigger("growth", times is not None and before > 0 and rows >= times * before, fact, rule)


def _version(policy: Policy, evidence: Evidence) -> Condition:
    met = policy.on_new_version and evidence.never_trained and evidence.champion is not None
    fact = f"declaration {evidence.declaration_version} was {'never ' if evidence.never_trained else ''}trained"
    return _trigger("new version", met, fact, "never trained" if policy.on_new_version else _UNDECLARED)


def _holds(policy: Policy, evidence: Evidence, now: datetime, again: bool) -> list[Condition]:
    outcome, under_way, away = evidence.outcome, evidence.under_way, evidence.registry_away
    data = f"data version {evidence.data_version}: {outcome or 'not trained on yet'}"
    holds = [
        _hold(
            "no training set", bool(evidence.cannot_train), evidence.cannot_train or "there is one", "a training set"
        ),
        _hold("trained already", bool(outcome), data, "data or declaration not trained on before"),
        _nothing_new(evidence, again),
        _hold("under way", bool(under_way), under_way or "no training", "no training"),
        *([] if evidence.clock else [_taking_in(evidence, now)]),  # the clock does not ask again
        _hold("registry", bool(away), away or "is asked only before a run", "an answer"),
        _given_up(policy, evidence),
        _retry_wait(evidence, now),
    ]
    if again:
        return holds
    cool_down = [] if evidence.champion is None else [_cool_down(policy, evidence, now)]
    return [*holds, *cool_down, _budget(policy, evidence, now)]


def _hold(name: str, met: bool, fact: str, rule: str, until: datetime | None = None) -> Condition:
    return Condition(role="hold", name=name, met=met, fact=fact, rule=rule, until=until)


def _nothing_new(evidence: Evidence, again: bool) -> Condition:
    """Hold if the holdout leaves no new rows to train on; a training that has begun is repeated all the same."""
    met = evidence.nothing_new and not evidence.outcome and not again
    fact = "there are rows that the champion was not trained on"
    if evidence.nothing_new:
        fact = f"the rows to train on would be those of champion version {evidence.champion}: nothing new to learn"
    return _hold("nothing new", met, fact, "another batch, or a smaller holdout")


def _taking_in(evidence: Evidence, now: datetime) -> Condition:
    """Hold while batches are nearly there, since the training needs them; but a stream of them must not starve it."""
    since = evidence.intake_since
    until = since + _LONGEST_INTAKE if since and evidence.intake else None
    met = evidence.intake > 0 and (since is None or _within(_LONGEST_INTAKE, since, now))
    return _hold(
        TAKING_IN, met, f"{_batches(evidence.intake)} under way or due", "none, or 15 minutes of waiting", until
    )


def _given_up(policy: Policy, evidence: Evidence) -> Condition:
    fact = f"{counted(evidence.failures, 'failed attempt', 'failed attempts')} on data version {evidence.data_version}"
    if evidence.cancelled:
        fact = f"a person cancelled the training on data version {evidence.data_version}"
    met = evidence.cancelled or evidence.failures >= policy.attempts
    return _hold("given up", met, fact, f"fewer than {policy.attempts}")


def _retry_wait(evidence: Evidence, now: datetime) -> Condition:
    name, rule = "wait before retry", "1, 2, 4 ... minutes"
    count, last = max(evidence.failures, evidence.in_a_row), evidence.last_failure
    if not count or last is None:
        return _hold(name, False, "no failed attempt", rule)
    wait = min(_FIRST_WAIT * 2 ** min(count - 1, 20), _LONGEST_WAIT)
    fact = f"the last attempt failed, the next is due {last + wait:%H:%M:%S}"
    return _hold(name, _within(wait, last, now), fact, rule, last + wait)


def _cool_down(policy: Policy, evidence: Evidence, now: datetime) -> Condition:
    pause, last = policy.cool_down, evidence.last_training
    if isinstance(pause, int):
        fact = f"{_batches(evidence.since_last)} since the last training"
        return _hold("cool-down", evidence.since_last < pause, fact, f"at least {pause}")
    if last is None:
        return _hold("cool-down", False, "no training yet", pause)
    met = _within(duration(pause), last, now)
    return _hold("cool-down", met, f"last training {last:%Y-%m-%d %H:%M}", pause, last + duration(pause))


def _budget(policy: Policy, evidence: Evidence, now: datetime) -> Condition:
    period = duration(policy.period)
    within = sorted(moment for moment in evidence.trainings if moment > now - period)
    until = within[-policy.budget] + period if len(within) >= policy.budget else None
    fact = f"{len(within)} trainings in {policy.period} that no person asked for"
    return _hold("budget", until is not None, fact, f"fewer than {policy.budget} in {policy.period}", until)


def _within(pause: timedelta, moment: datetime, now: datetime) -> bool:
    """Return whether a pause is not over. A moment farther in the future comes from a clock that was set back since."""
    return abs(now - moment) < pause


def _identity(evidence: Evidence) -> list[Any]:
    """Return what identifies the evidence, without the fields that only measure time."""
    return [
        *(evidence.champion, evidence.data_version, evidence.declaration_version, evidence.new_rows),
        *(evidence.drift.batches[-20:], evidence.drift.flags[-20:]),
        *(evidence.decay.batches[-20:], evidence.decay.flags[-20:]),
        *(evidence.failures, evidence.cannot_train, evidence.outcome, evidence.nothing_new),
        evidence.clock.isoformat() if evidence.clock else None,
    ]
