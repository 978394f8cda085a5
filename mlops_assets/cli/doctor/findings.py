"""A finding of the doctor: the state of one thing, why it matters, how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["fault", "advice", "fine"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One finding.

    A `fault` breaks a promise of the pack or lets others in; `advice` is worth knowing; `fine` needs no action. `mend`
    says what to do, "" for nothing; YAML in it belongs in dagster.yaml.
    """

    name: str
    severity: Severity
    found: str
    why: str = ""
    mend: str = ""

    def unless(self, sound: object, found: str) -> Finding:
        """Return this finding; if all is `sound`, return a fine one of the same name instead."""
        return fine(self.name, found) if sound else self


def fine(name: str, found: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding(name=name, severity="fine", found=found)


def fault(name: str, found: str, why: str, mend: str) -> Finding:
    """Return a finding that must be mended."""
    return Finding(name=name, severity="fault", found=found, why=why, mend=mend)


def advice(name: str, found: str, why: str, mend: str = "") -> Finding:
    """Return a finding that is worth knowing."""
    return Finding(name=name, severity="advice", found=found, why=why, mend=mend)
