"""Runs of the models: whether they reach their first step."""

from collections.abc import Iterable

import dagster as dg

from mlops_assets.cli.doctor.findings import Finding, fault, fine
from mlops_assets.sensors.stillborn_runs import stillborn_runs

_WHY = "Such a run records nothing: no batch is rejected and no training refused, so no other alarm says why."
_MEND = "mend what it says, then reload the code location; the sensors ask for the runs again"


def runs(instance: dg.DagsterInstance, models: Iterable[str]) -> list[Finding]:
    """Return the models whose newest runs failed before their first step, with the error."""
    return [
        fault(f"runs of {model}", str(failed), _WHY, _MEND)
        for model in models
        if (failed := stillborn_runs(instance, model)) is not None
    ] or [fine("runs", "the newest run of each model reached its first step")]
