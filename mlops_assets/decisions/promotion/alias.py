"""Whether the alias moves: from the gates, the comparison, the state of the alias and what a person asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from mlops_assets.checks import CheckOutcome

AliasState = Literal["none", "sound", "lost", "moved by hand"]


class Promoted(Protocol):
    """A registered version with the numbers that its promotions were given; 0 where it had none."""

    @property
    def intended(self) -> int: ...

    @property
    def promotion(self) -> int: ...


class Compared(Protocol):
    """The comparison of challenger and champion."""

    @property
    def verdict(self) -> str: ...

    @property
    def reason(self) -> str: ...


@dataclass(frozen=True)
class Decision:
    """What was decided on a version, and whether the alias is to move to it now or waits until a person approves."""

    verdict: Literal["promote", "keep", "inconclusive"]
    moves: bool
    reason: str
    waits: bool = False


def alias_state(
    champion: Promoted | None, versions: Sequence[Promoted], had_champion: bool, recorded: int = 0
) -> AliasState:
    """Whether the alias stands where the last promotion put it.

    A promotion writes its number as intended, moves the alias, then writes it as done: a crash in between leaves an
    alias on the version that the newest number was intended for, or on the last one done; both are sound.

    recorded: the number of the promotion on record outside of the registry, which tells where the version that was
    promoted last is deleted and the alias then set to one that is left.
    """
    done = max((recorded, *(version.promotion for version in versions)))
    if champion is None:
        return "lost" if done or had_champion else "none"
    finished = champion.promotion == done
    interrupted = champion.intended > done and champion.intended == max(version.intended for version in versions)
    return "sound" if (done and finished) or interrupted else "moved by hand"


def decide(
    gates: CheckOutcome,
    state: AliasState,
    held: str,
    comparison: Compared | None,
    cannot_compare: str = "",
    approve: str = "",
) -> Decision:
    """The decision on a challenger without a person.

    gates: the outcome of all blocking gates together. held: by whom and why promotions are held, or "".
    comparison: None without a champion; `cannot_compare` says why there is none although a champion exists.
    approve: the job by which a person approves, where one must; "" where the evidence is enough.
    """
    if not gates.passed:
        return Decision("keep", False, f"gates not passed: {gates.message}")
    if state == "lost":
        return Decision(
            "keep",
            False,
            "the champion alias is gone although a champion was promoted before; promote or roll back by hand",
        )
    if state == "moved by hand":
        return Decision(
            "keep", False, "the champion alias was moved outside of this pack; promote or roll back by hand"
        )
    if state == "none":
        verdict = Decision("promote", True, "first model: all absolute gates passed")
    elif comparison is None:
        return Decision("inconclusive", False, cannot_compare)
    else:
        verdict = Decision(_verdict(comparison.verdict), comparison.verdict == "promote", comparison.reason)
    if verdict.moves and held:
        return Decision(verdict.verdict, False, f"{verdict.reason}; but promotions are held by {held}")
    if verdict.moves and approve:
        waits = f"{verdict.reason}; waits for approval: launch the job {approve}"
        return Decision(verdict.verdict, False, waits, waits=True)
    return verdict


def _verdict(text: str) -> Literal["promote", "keep", "inconclusive"]:
    return "promote" if text == "promote" else "keep" if text == "keep" else "inconclusive"
