"""What a source may ask about the assets of a project, so that sources need not know Dagster."""

from typing import Any, NamedTuple, Protocol


class Materialization(NamedTuple):
    """The newest materialisation of an asset; `timestamp` in seconds since 1970."""

    storage_id: int
    run_id: str
    timestamp: float


class Assets(Protocol):
    """The assets of a project, as a sensor or a run of it sees them. A key is such as "lake/rentals"."""

    def keys(self) -> list[str]:
        """Return the keys of the assets that the code location defines."""

    def is_defined(self, key: str) -> bool:
        """Return whether the code location defines the asset."""

    def partitions(self, key: str) -> list[str] | None:
        """Return all partitions of a defined asset, in order; None where it has none."""

    def materialised(self, key: str) -> dict[str, str]:
        """Return the materialised partitions, each with a mark of its newest materialisation."""

    def newest(self, key: str) -> Materialization | None:
        """Return the newest materialisation; None where there is none."""

    def load(self, key: str, partition: str | None) -> Any:
        """Return the value of the asset, by its own IO manager, which may raise anything."""
