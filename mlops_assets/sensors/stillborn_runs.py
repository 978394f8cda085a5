"""Runs that failed before their first step: no step of a model ran in them."""

from dataclasses import dataclass
from itertools import takewhile

import dagster as dg

from mlops_assets.assets.shared.keys import MODEL

_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
_MOST, _LONGEST = 100, 400


@dataclass(frozen=True)
class Stillborn:
    """The newest runs of a model failed before their first step: how many in a row, and the newest run's reason."""

    count: int
    run_id: str
    reason: str

    def __str__(self) -> str:
        runs = "the newest run" if self.count == 1 else f"the newest {self.count} runs"
        return f"{runs} failed before the first step: {self.reason} (run {self.run_id})"


def stillborn_runs(instance: dg.DagsterInstance, model: str) -> Stillborn | None:
    """Return the newest runs without a step, None if the newest ended run reached a step or there is no such run."""
    newest = instance.get_runs(dg.RunsFilter(tags={MODEL: model}, statuses=_ENDED), limit=_MOST)
    stillborn = [*takewhile(lambda run: not _came_to_a_step(instance, run), newest)]
    return Stillborn(len(stillborn), newest[0].run_id, _reason(instance, newest[0].run_id)) if stillborn else None


def _came_to_a_step(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    if run.status == dg.DagsterRunStatus.SUCCESS:
        return True
    return bool(instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_START, limit=1).records)


def _reason(instance: dg.DagsterInstance, run_id: str) -> str:
    """Return the error that ended the run, which Dagster stores with one of its events; else the run's message."""
    message = "the run gives no reason"
    kinds = {dg.DagsterEventType.ENGINE_EVENT, dg.DagsterEventType.RUN_FAILURE}
    for record in instance.get_records_for_run(run_id, of_type=kinds).records:
        event = record.event_log_entry.dagster_event
        error = getattr(event.event_specific_data, "error", None) if event is not None else None
        if error is not None:
            while error.cause is not None:
                error = error.cause
            text = " ".join(error.message.split())
            return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
        message = (event.message if event is not None else None) or message
    return message
