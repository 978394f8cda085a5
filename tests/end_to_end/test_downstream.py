"""A user's own assets take ours as DataFrames, all batches or one by one, and give DataFrames to the next."""

import dagster as dg
import pandas as pd
import pytest

from mlops_assets import batches
from support.deployment import QUIET, DeployedModel, Deployment
from support.synthetic import rows


@pytest.fixture
def model(deployment: Deployment, name: str) -> DeployedModel:
    """Two batches, scored."""
    model = deployment.model(name)
    model.prepare(b1=rows(1), b2=rows(2))
    assert model.challenge().success
    assert all(model.materialize("predictions", batch=batch).success for batch in ("b1", "b2"))
    return model


def run(model: DeployedModel, *assets: dg.AssetsDefinition, **options: object) -> dg.ExecuteInProcessResult:
    own = dg.Definitions(assets=assets, jobs=[dg.define_asset_job("own", list(assets))])
    job = dg.Definitions.merge(model.defs, own).resolve_job_def("own")
    return job.execute_in_process(instance=model.instance, run_config=QUIET, **options)


def test_an_asset_of_ones_own_takes_all_batches(model):
    kinds = {"dataset": "y", "features": "x", "predictions": "score"}

    @dg.asset(
        key=[model.name, "totals"],
        ins={kind: dg.AssetIn(key=[model.name, kind]) for kind in kinds},
        io_manager_key="mlops_batches",
    )
    def totals(dataset: pd.DataFrame, features: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame(
            {"y": [dataset["y"].sum()], "x": [features["x"].sum()], "score": [predictions["score"].sum()]}
        )

    @dg.asset(ins={"totals": dg.AssetIn(key=[model.name, "totals"])})
    def report(totals: pd.DataFrame) -> dict[str, float]:
        return totals.iloc[0].to_dict()

    given = pd.concat([rows(1), rows(2)])
    scored = pd.concat([model.predictions("b1"), model.predictions("b2")])
    expected = {"y": given["y"].sum(), "x": given["x"].sum(), "score": scored["score"].sum()}
    assert run(model, totals, report).output_for_node("report") == pytest.approx(expected)


def test_an_asset_with_the_same_batches_takes_its_own(model):
    @dg.asset(ins={"scores": dg.AssetIn(key=[model.name, "predictions"])}, partitions_def=batches(model.name))
    def first_id(scores: pd.DataFrame) -> int:
        return int(scores["id"].iloc[0])

    assert run(model, first_id, partition_key="b2").output_for_node("first_id") == 2_000
