"""Whether the alias moves: from the gates, the comparison, the state of the alias and what a person asked for."""

from dataclasses import dataclass
from typing import Literal, Protocol

from mlops_assets.checks import CheckOutcome

AliasState = Literal["none", "sound", "lost", "moved by hand"]


class Named(Protocol):
    """What the alias names, or a promotion does: a version, and the digest of its files."""

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
    """What was decided on a version, and whether the alias is to move to it now or waits until a person approves."""

    verdict: Literal["promote", "keep", "inconclusive"]
    moves: bool
    reason: str
    waits: bool = False


def alias_state(
    alias: Named | None, champion: Named | None, under_way: Named | None = None, had_champion: bool = False
) -> AliasState:
    """Return whether the alias names what the ledger of promotions says.

    champion: the version of the newest promotion that was done. under_way: that of a promotion which was begun and has
    not ended; the alias may name it already. had_champion: whether there was a champion before, by any other record.
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
