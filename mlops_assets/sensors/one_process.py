"""Runs that sensors request use one process each, even if the code location keeps Dagster's default executor."""

from typing import Any

import dagster as dg

_IN_PROCESS: dict[str, Any] = {"execution": {"config": {"in_process": {}}}}


def in_one_process(requests: list[dg.RunRequest], context: dg.SensorEvaluationContext) -> list[dg.RunRequest]:
    """Return the requests with one process for each run: Dagster's default of one for each step imports all anew.

    An executor that the code location chooses is left unchanged.
    """
    assert context.repository_def is not None  # a sensor of a code location has a repository
    if not requests:
        return []
    executor = context.repository_def.get_implicit_global_asset_job_def().executor_def
    if executor is not dg.multi_or_in_process_executor:
        return requests
    return [request.with_replaced_attrs(run_config=_IN_PROCESS) for request in requests]
