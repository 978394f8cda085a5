"""How often a batch was tried, and when it may be tried again."""

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from mlops_assets.sensors.runs import ended_at

NEED = "mlops_assets/need"
"""Run tag: what a run brings a batch up to: mark, version of features, champion, labels."""

FIRST_DELAY_SECONDS = 60.0
LONGEST_DELAY_SECONDS = 6 * 3600.0


@dataclass(frozen=True)
class Attempts:
    """Ended runs of a batch: how many, and when the newest ended, in seconds since 1970."""

    count: int = 0
    ended: float = 0.0

    def due(self, now: float) -> bool:
        """Return whether the next attempt may begin. It may begin at once if the clock was set back."""
        return self.count == 0 or abs(now - self.ended) >= delay(self.count)


def attempts(instance: dg.DagsterInstance, tags: Mapping[str, str]) -> Attempts:
    """Return the attempts with these tags; the caller knows that no run of them is under way.

    Successful runs count as well. Otherwise a run that left its batch incomplete would be repeated at every tick. And
    a source that returns to an earlier state needs a new run key, since Dagster never repeats one.
    """
    wanted = dg.RunsFilter(tags=dict(tags))
    newest = instance.get_run_records(wanted, limit=1)
    if not newest:
        return Attempts()
    return Attempts(instance.get_runs_count(wanted), ended_at(newest[0]).timestamp())


def delay(count: int) -> float:
    """Return the seconds between the end of attempt `count` and the next: 1, 2, 4, ... minutes, at most 6 hours."""
    return min(FIRST_DELAY_SECONDS * 2.0 ** min(count - 1, 20), LONGEST_DELAY_SECONDS)
