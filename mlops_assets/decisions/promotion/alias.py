"""Whether the alias moves, given the gates, the comparison, the state of the alias and a person's requests."""

from dataclasses import dataclass, replace
from typing import Literal, Protocol

from mlops_assets.checks import CheckOutcome
from mlops_assets.decisions.promotion.comparison import Verdict, Word

AliasState = Literal["none", "sound", "lost", "moved by hand"]

_UNSOUND = {
    "lost": "the champion alias is gone although a champion was promoted before",
    "moved by hand": "the champion alias was moved outside of this pack",
}


class Named(Protocol):
    """A version, and the digest of its files, as the alias or a promotion names it."""

    @property
    def version(self) -> int: ...

    @property
    def digest(self) -> str: ...


@dataclass(frozen=True)
class Decision:
    """The decision on a version, and whether the alias moves to it now or waits until a person approves."""

    verdict: Word
    moves: bool
    reason: str
    waits: bool = False


def alias_state(
    alias: Named | None, champion: Named | None, under_way: Named | None = None, had_champion: bool = False
) -> AliasState:
    """Return whether the alias names what the ledger of promotions says.

    champion: the version of the newest completed promotion. under_way: the version of a promotion that has begun and
        not ended; the alias may name it already. had_champion: whether any other record shows an earlier champion.
    """
    if alias is None:
        return "lost" if champion is not None or had_champion else "none"
    expected = [(record.version, record.digest) for record in (champion, under_way) if record is not None]
    return "sound" if (alias.version, alias.digest) in expected else "moved by hand"


def decide(
    gates: CheckOutcome,
    state: AliasState,
    hold: str,
    comparison: Verdict | None,
    cannot_compare: str = "",
    approve: str = "",
) -> Decision:
    """Decide on a challenger without a person.

    gates: the outcome of all blocking gates together. hold: who holds promotions and why, or "".
    comparison: None without a champion; `cannot_compare` says why there is no comparison although a champion exists.
    approve: the job by which a person approves, if approval is required; else "".
    """
    if not gates.passed:
        return Decision("keep", False, f"gates not passed: {gates.message}")
    if state in _UNSOUND:
        return Decision("keep", False, f"{_UNSOUND[state]}; promote or roll back by hand")
    if state == "none":
        decision = Decision("promote", True, "first model: all absolute gates passed")
    elif comparison is None:
        return Decision("inconclusive", False, cannot_compare)
    else:
        decision = Decision(comparison.verdict, comparison.verdict == "promote", comparison.reason)
    if decision.moves and hold:
        return replace(decision, moves=False, reason=f"{decision.reason}; but promotions are held by {hold}")
    if decision.moves and approve:
        reason = f"{decision.reason}; waits for approval: launch the job {approve}"
        return replace(decision, moves=False, reason=reason, waits=True)
    return decision
