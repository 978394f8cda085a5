"""What a sensor asks for is run in one process, unless somebody chose how his code location runs."""

import dagster as dg
import pytest

from mlops_assets.sensors.one_process import in_one_process

ASKED = dg.RunRequest(run_key="a", asset_selection=[dg.AssetKey("rows")], tags={"model": "bikes"})


@dg.asset
def rows(): ...


def told(**chosen):
    repository = dg.Definitions(assets=[rows], **chosen).get_repository_def()
    return in_one_process([ASKED], dg.build_sensor_context(repository_def=repository))


def test_a_project_with_dagsters_default_executor_gets_one_process_a_run():
    (request,) = told()
    assert request.run_config == {"execution": {"config": {"in_process": {}}}}
    assert (request.run_key, request.asset_selection, request.tags) == ("a", [dg.AssetKey("rows")], {"model": "bikes"})


@pytest.mark.parametrize("chosen", [dg.in_process_executor, dg.multiprocess_executor])
def test_an_executor_that_was_chosen_is_left_alone(chosen):
    assert told(executor=chosen) == [ASKED]
