"""Runs that end before their first step: how many in a row, and the error that Dagster has of them."""

import sys

import dagster as dg
from dagster._core.events import EngineEventData
from dagster._core.test_utils import create_run_for_test
from dagster._utils.error import serializable_error_info_from_exc_info

from mlops_assets.assets.shared.keys import MODEL
from mlops_assets.cli.doctor.runs import runs
from mlops_assets.sensors.stillborn_runs import stillborn_runs


@dg.op
def fails() -> None:
    raise ValueError("a step that came to work")


@dg.job
def a_job() -> None:
    fails()


def die_before_a_step(instance: dg.DagsterInstance, model: str) -> str:
    """What `dagster api execute_run` leaves of a run whose job cannot be had."""
    run = create_run_for_test(instance, tags={MODEL: model}, status=dg.DagsterRunStatus.STARTED)
    try:
        raise dg.DagsterInvalidSubsetError("When building job, checks [x]\nwere selected")
    except dg.DagsterInvalidSubsetError:
        error = serializable_error_info_from_exc_info(sys.exc_info())
    instance.report_engine_event("Could not load job definition.", run, EngineEventData.engine_error(error))
    instance.report_run_failed(run)
    return run.run_id


def test_runs_that_never_came_to_a_step_are_counted_with_their_error():
    with dg.instance_for_test() as instance:
        assert stillborn_runs(instance, "bikes") is None
        a_job.execute_in_process(instance=instance, raise_on_error=False, tags={MODEL: "bikes"})
        assert stillborn_runs(instance, "bikes") is None  # its step failed, and says why
        die_before_a_step(instance, "bikes")
        newest = die_before_a_step(instance, "bikes")
        found = stillborn_runs(instance, "bikes")
        assert (found.count, found.run_id) == (2, newest)
        assert found.reason.endswith("DagsterInvalidSubsetError: When building job, checks [x] were selected")
        assert str(found).startswith("the newest 2 runs failed before the first step: ")
        [bikes] = runs(instance, ["bikes", "rides"])
        assert (bikes.name, bikes.severity, bikes.found) == ("runs of bikes", "fault", str(found))
        [fine] = runs(instance, ["rides"])
        assert fine.severity == "fine"
