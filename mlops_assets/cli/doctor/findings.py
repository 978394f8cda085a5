"""A finding of the doctor: what was seen, why it matters, how to mend it."""

from dataclasses import KW_ONLY, dataclass
from typing import Literal

Severity = Literal["fault", "advice", "fine"]


@dataclass(frozen=True)
class Finding:
    """One finding.

    A `fault` breaks a promise of the pack or lets others in; `advice` is worth knowing; `fine` needs no action. `mend`
    says what to do, "" for nothing; YAML in it belongs in dagster.yaml.
    """

    name: str
    severity: Severity
    found: str
    _: KW_ONLY
    why: str = ""
    mend: str = ""


def fine(name: str, found: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding(name, "fine", found)


def fault(name: str, found: str, why: str, mend: str) -> Finding:
    """Return a finding that must be mended."""
    return Finding(name, "fault", found, why=why, mend=mend)


def advice(name: str, found: str, why: str, mend: str = "") -> Finding:
    """Return a finding that is worth knowing."""
    return Finding(name, "advice", found, why=why, mend=mend)
