"""A step builds on what its own run recorded, whatever other runs recorded meanwhile."""

import dagster as dg
import pytest

from mlops_assets.assets.shared.run_metadata import recorded
from mlops_assets.errors import TrainingError

KEY = dg.AssetKey(["m", "challenger"])


@dg.asset(key=KEY)
def challenger() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"version": 1})


@dg.asset(deps=[KEY])
def reader(context: dg.AssetExecutionContext) -> int:
    if context.run.job_name == "overtaken":
        context.instance.report_runless_asset_event(dg.AssetMaterialization(KEY, metadata={"version": 2}))
    return int(recorded(context, KEY)["version"])


DEFS = dg.Definitions(
    assets=[challenger, reader],
    jobs=[dg.define_asset_job("overtaken", [challenger, reader]), dg.define_asset_job("alone", [reader])],
)


def read(job, instance):
    return DEFS.resolve_job_def(job).execute_in_process(instance=instance).output_for_node("reader")


def test_own_materialisation_goes_before_a_newer_one_of_another_run():
    with dg.DagsterInstance.ephemeral() as instance:
        assert read("overtaken", instance) == 1
        assert read("alone", instance) == 2


def test_not_materialised_says_what_to_do():
    with (
        dg.DagsterInstance.ephemeral() as instance,
        pytest.raises(TrainingError, match="m/challenger is not materialised: materialise it first"),
    ):
        read("alone", instance)
