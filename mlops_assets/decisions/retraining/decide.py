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


@dataclass(frozen=True)
class Condition:
    """A trigger asks for a training if it is `met`; a hold that is `met` delays the training.

    `until` is the moment at which the condition changes by itself, if it does.
    """

    role: Literal["trigger", "hold"]
    name: str
    met: bool
    found: str
    needed: str
    until: datetime | None = None


@dataclass(frozen=True)
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
        said = {"trigger": "train", "hold": "wait"}
        rows = [
            {
                "condition": each.name,
                "says": said[each.role] if each.met else "",
                "found": each.found,
                "needed": each.needed,
            }
            for each in self.conditions
        ]
        return sorted(rows, key=lambda row: not row["says"])


def confirmed(flags: Sequence[bool], k: int, n: int) -> bool:
    """Return whether at least k of the newest n flags are raised; the newest is the last."""
    return sum(flags[-n:]) >= k


def duration(text: str) -> timedelta:
    """Return a declared duration, such as '12h' or '30D', as a timedelta."""
    found = re.fullmatch(r"(\d+)(min|h|D|W)", text)
    if found is None:
        raise ValueError(f"{text!r} is not a duration such as '12h' or '30D'")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def decide_retraining(policy: Policy, evidence: Evidence, now: datetime) -> RetrainingDecision:
    """Fire if some trigger is met and no hold is met.

    Equal evidence gives an equal `key` at any time, so that the decision is recorded once. Neither cool-down nor budget
    delays the repetition of a failed training. A cool-down does not delay the first training.
    """
    triggers = _triggers(policy, evidence, now)
    asked = [each for each in triggers if each.met]
    holds = _holds(policy, evidence, now, [each.name for each in asked])
    against = [each for each in holds if each.met]
    fire = bool(asked) and not against
    reason = "; ".join(f"{each.name}: {each.found}" for each in asked) or "nothing asks for a training"
    if asked and against:
        reason += ". Held back by " + "; ".join(f"{each.name}: {each.found}" for each in against)
    conditions = (*triggers, *holds)
    # What is under way matters only if a training is asked for; else each run would make a decision of its own.
    weighed = conditions if asked else triggers
    key = _digest([_identity(evidence), [(each.name, each.met) for each in weighed]])
    later = [each.until for each in weighed if each.until is not None and each.until > now]
    names = tuple(each.name for each in asked), tuple(each.name for each in against)
    return RetrainingDecision(fire, reason, *names, conditions, key, min(later, default=None))


def _triggers(policy: Policy, evidence: Evidence, now: datetime) -> list[Condition]:
    if evidence.champion is None:
        found = counted(evidence.batches, "labelled batch", "labelled batches")
        needed = counted(policy.first_after, "labelled batch", "labelled batches")
        found += ", no champion"
        found += ", a version waits for approval" if evidence.waits else ""
        enough = evidence.batches >= policy.first_after and not evidence.waits
        known = [_trigger("first training", enough, found, needed)]
    else:
        known = [
            _alarm("drift", policy.on_drift, evidence.drift, policy.confirm),
            _alarm("decay", policy.on_decay, evidence.decay, policy.confirm),
            _volume(policy, evidence),
            _age(policy, evidence, now),
            _growth(policy, evidence),
        ]
    return [*known, _version(policy, evidence), _clock(evidence), _unfinished(evidence)]


def _trigger(name: str, met: bool, found: str, needed: str, until: datetime | None = None) -> Condition:
    return Condition("trigger", name, met, found, needed, until)


def _alarm(name: str, on: bool, alarms: Alarms, confirm: tuple[int, int]) -> Condition:
    k, n = confirm
    newest = list(zip(alarms.batches, alarms.flags, strict=True))[-n:]
    raised = ", ".join(batch for batch, flag in newest if flag)
    found = f"{sum(flag for _, flag in newest)} of the newest {counted(len(newest), 'batch', 'batches')}" + (
        f" ({raised})" if raised else ""
    )
    needed = f"{k} of the newest {counted(n, 'batch', 'batches')}" if on else "not declared"
    return _trigger(name, on and confirmed(alarms.flags, k, n), found, needed)


def _volume(policy: Policy, evidence: Evidence) -> Condition:
    most = policy.min_new_rows
    met = most is not None and evidence.new_rows >= most
    found = (
        f"{counted(evidence.new_rows, 'labelled row', 'labelled rows')} in "
        f"{counted(evidence.new_batches, 'batch', 'batches')} unknown to champion and last training"
    )
    return _trigger("volume", met, found, f"{most:,} rows" if most is not None else "not declared")


def _age(policy: Policy, evidence: Evidence, now: datetime) -> Condition:
    trained = evidence.champion_trained
    found = f"trained {trained:%Y-%m-%d %H:%M}" if trained else "unknown"
    if policy.max_age is None or trained is None:
        return _trigger("age", False, found, "not declared")
    last = max(trained, evidence.last_training or trained)  # a training without promotion answers the trigger too
    if last > trained:
        found += f", last tried {last:%Y-%m-%d %H:%M}"
    due = last + duration(policy.max_age)
    return _trigger("age", now >= due, found, f"{policy.max_age}, over at {due:%Y-%m-%d %H:%M}", due)


def _growth(policy: Policy, evidence: Evidence) -> Condition:
    """Fire when rows have grown `growth` times: at any scale, more rows make a better model without drift or decay."""
    times, trained, there = policy.growth, evidence.trained_rows, evidence.trainable_rows
    met = times is not None and trained > 0 and there >= times * trained
    found = f"{there:,} labelled rows to train on, {trained:,} at the champion's training or the last one"
    return _trigger("growth", met, found, "not declared" if times is None else f"{times:g} times as many")


def _version(policy: Policy, evidence: Evidence) -> Condition:
    met = policy.on_new_version and evidence.never_trained and evidence.champion is not None
    found = f"declaration {evidence.declaration_version} was " + (
        "never trained" if evidence.never_trained else "trained"
    )
    return _trigger("new version", met, found, "never trained" if policy.on_new_version else "not declared")


def _clock(evidence: Evidence) -> Condition:
    at = evidence.clock
    found = f"due {at:%Y-%m-%d %H:%M}" if at else "not asked by the clock"
    return _trigger("schedule", at is not None, found, "a tick of the declared cron")


def _unfinished(evidence: Evidence) -> Condition:
    return _trigger("unfinished", bool(evidence.unfinished), evidence.unfinished or "none", "a training that failed")


def _holds(policy: Policy, evidence: Evidence, now: datetime, asked: list[str]) -> list[Condition]:
    again = "unfinished" in asked
    holds = [
        _hold("no training set", bool(evidence.cannot_train), evidence.cannot_train or "there is one", "a set"),
        _hold(
            "trained already",
            bool(evidence.outcome),
            f"data version {evidence.data_version}: {evidence.outcome or 'not trained on yet'}",
            "data or declaration not trained on before",
        ),
        _nothing_new(evidence, again),
        _hold("under way", bool(evidence.under_way), evidence.under_way or "no training", "no training"),
        *([] if evidence.clock else [_taking_in(evidence, now)]),  # the clock does not ask again
        _hold(
            "registry", bool(evidence.registry_away), evidence.registry_away or "asked only before a run", "an answer"
        ),
        _given_up(policy, evidence),
        _retry_wait(evidence, now),
    ]
    if evidence.champion is not None and not again:
        holds.append(_cool_down(policy, evidence, now))
    return holds if again else [*holds, _budget(policy, evidence, now)]


def _hold(name: str, met: bool, found: str, needed: str, until: datetime | None = None) -> Condition:
    return Condition("hold", name, met, found, needed, until)


def _nothing_new(evidence: Evidence, again: bool) -> Condition:
    """Hold if the holdout leaves no new rows to train on; a training that has begun is repeated all the same."""
    met = evidence.nothing_new and not evidence.outcome and not again
    found = "there are rows that the champion was not trained on"
    if evidence.nothing_new:
        found = f"the rows to train on would be those of champion version {evidence.champion}: nothing new to learn"
    return _hold("nothing new", met, found, "another batch, or a smaller holdout")


def _taking_in(evidence: Evidence, now: datetime) -> Condition:
    """Hold while batches are nearly there, since the training needs them; but a stream of them must not starve it."""
    since = evidence.intake_since
    until = since + _LONGEST_INTAKE if since and evidence.intake else None
    met = evidence.intake > 0 and (since is None or _within(_LONGEST_INTAKE, since, now))
    found = f"{counted(evidence.intake, 'batch', 'batches')} under way or due"
    return _hold("taking in", met, found, "none, or 15 minutes of waiting", until)


def _given_up(policy: Policy, evidence: Evidence) -> Condition:
    found = f"{counted(evidence.failures, 'failed attempt', 'failed attempts')} on data version {evidence.data_version}"
    if evidence.cancelled:
        found = f"a person cancelled the training on data version {evidence.data_version}"
    met = evidence.cancelled or evidence.failures >= policy.attempts
    return _hold("given up", met, found, f"fewer than {policy.attempts}")


def _retry_wait(evidence: Evidence, now: datetime) -> Condition:
    count, last = max(evidence.failures, evidence.in_a_row), evidence.last_failure
    if not count or last is None:
        return _hold("wait before retry", False, "no failed attempt", "1, 2, 4 ... minutes")
    wait = min(_FIRST_WAIT * 2 ** min(count - 1, 20), _LONGEST_WAIT)
    found = f"the last attempt failed, the next is due {last + wait:%H:%M:%S}"
    return _hold("wait before retry", _within(wait, last, now), found, "1, 2, 4 ... minutes", last + wait)


def _cool_down(policy: Policy, evidence: Evidence, now: datetime) -> Condition:
    pause = policy.cool_down
    if isinstance(pause, int):
        found = f"{counted(evidence.since_last, 'batch', 'batches')} since the last training"
        return _hold("cool-down", evidence.since_last < pause, found, f"at least {pause}")
    last = evidence.last_training
    until = last + duration(pause) if last else None
    found = f"last training {last:%Y-%m-%d %H:%M}" if last else "no training yet"
    return _hold("cool-down", last is not None and _within(duration(pause), last, now), found, pause, until)


def _budget(policy: Policy, evidence: Evidence, now: datetime) -> Condition:
    within = sorted(each for each in evidence.trainings if each > now - duration(policy.period))
    spent = len(within) >= policy.budget
    until = within[len(within) - policy.budget] + duration(policy.period) if spent else None
    found = f"{len(within)} trainings in {policy.period} that no person asked for"
    return _hold("budget", spent, found, f"fewer than {policy.budget} in {policy.period}", until)


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


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]
