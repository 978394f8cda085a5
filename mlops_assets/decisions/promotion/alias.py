"""Whether the alias moves, given the gates, the comparison, the state of the alias and a person's requests."""

from dataclasses import dataclass
from typing import Literal, Protocol

from mlops_assets.checks import CheckOutcome

AliasState = Literal["none", "sound", "lost", "moved by hand"]


class Named(Protocol):
    """A version, and the digest of its files, as the alias or a promotion names it."""

    @property
    def version(self) -> int: ...

    @property
    def digest(self) -> str: ...


class Compared(Protocol):
    """The comparison of challenger and champion."""

    @property
    def verdict(self) -> str: ...

    @property
    def reason(self) -> str: ...


@dataclass(frozen=True)
class Decision:
    """The decision on a version, and whether the alias moves to it now or waits until a person approves."""

    verdict: Literal["promote", "keep", "inconclusive"]
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
    named = (alias.version, alias.digest)
    expected = [(each.version, each.digest) for each in (champion, under_way) if each is not None]
    return "sound" if named in expected else "moved by hand"


def decide(
    gates: CheckOutcome,
    state: AliasState,
    held: str,
    comparison: Compared | None,
    cannot_compare: str = "",
    approve: str = "",
) -> Decision:
    """Decide on a challenger without a person.

    gates: the outcome of all blocking gates together. held: who holds promotions and why, or "".
    comparison: None without a champion; `cannot_compare` says why there is no comparison although a champion exists.
    approve: the job by which a person approves, if approval is required; else "".
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
