"""What the doctor says of one thing: what was found, why it matters, how to mend it."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["fault", "advice", "fine"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    A `fault` breaks a promise of the pack or lets others in; `advice` is worth knowing; `fine` needs nothing. `mend`
    is what to do, "" where there is nothing; YAML in it belongs in dagster.yaml.
    """

    name: str
    severity: Severity
    found: str
    why: str = ""
    mend: str = ""


def fine(name: str, found: str) -> Finding:
    """Nothing to do."""
    return Finding(name, "fine", found)


def fault(name: str, found: str, why: str, mend: str) -> Finding:
    """Something to be mended."""
    return Finding(name, "fault", found, why, mend)


def advice(name: str, found: str, why: str, mend: str = "") -> Finding:
    """Something worth knowing."""
    return Finding(name, "advice", found, why, mend)
