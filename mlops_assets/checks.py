"""The outcome of one check: its name, whether it passed, and the evidence in plain values."""

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class CheckOutcome:
    """The outcome of one check.

    `metadata` holds plain JSON values: numbers, strings, lists of flat dicts for tables. So it can be written to a
    file, to an MLflow tag or to Dagster's metadata alike.
    """

    name: str
    passed: bool
    message: str
    _: KW_ONLY
    severity: Literal["error", "warn"] = "error"
    blocking: bool = True
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stops(self) -> bool:
        """Whether this outcome blocks what was checked."""
        return self.blocking and self.severity == "error" and not self.passed


def reasons(outcomes: Iterable[CheckOutcome]) -> list[str]:
    """Return the messages of the blocking outcomes, in their order."""
    return [f"{outcome.name}: {outcome.message}" for outcome in outcomes if outcome.stops]
