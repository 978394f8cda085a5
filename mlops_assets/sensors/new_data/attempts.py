"""How often a batch was tried already, and when it may be tried again."""

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

NEED = "mlops_assets/need"
"""Run tag: what a batch was brought up to by a run: mark of its source, version of features, champion, labels."""

FIRST_DELAY_SECONDS = 60.0
LONGEST_DELAY_SECONDS = 6 * 3600.0


@dataclass(frozen=True)
class Attempts:
    """Runs of a batch that have ended: how many, and when the newest did, in seconds since 1970."""

    count: int = 0
    ended: float = 0.0

    def due(self, now: float) -> bool:
        """Whether the next one may begin. A clock that was set back makes it due, rather than wait for a day."""
        return self.count == 0 or abs(now - self.ended) >= delay(self.count)


def attempts(instance: dg.DagsterInstance, tags: Mapping[str, str]) -> Attempts:
    """The runs with these tags, none of which is under way.

    Those that succeeded count as well. One that left its batch incomplete would else be repeated at every tick; and
    a source that goes back to what it was before gets a run key of its own, which Dagster does not take for the old.
    """
    wanted = dg.RunsFilter(tags=dict(tags))
    newest = instance.get_run_records(wanted, limit=1)
    if not newest:
        return Attempts()
    ended = newest[0].end_time or newest[0].update_timestamp.timestamp()
    return Attempts(instance.get_runs_count(wanted), ended)


def delay(count: int) -> float:
    """Seconds between the end of attempt `count` and the next: 1, 2, 4, ... minutes, at most 6 hours."""
    return min(FIRST_DELAY_SECONDS * 2.0 ** min(count - 1, 20), LONGEST_DELAY_SECONDS)
