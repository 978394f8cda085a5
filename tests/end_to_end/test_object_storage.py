"""Two hosts with nothing but a bucket and databases in common: batches, training, promotion, scores, `reproduce`."""

import dagster as dg
import pandas as pd
import pytest
from pyarrow.fs import FileSelector

from mlops_assets.records.inferred_suites import inferred_version
from mlops_assets.reproduction.reproduce import reproduce
from mlops_assets.resources.storage import Storage
from mlops_assets.sources import Folder
from support.databases import postgres_database
from support.deployment import QUIET, Deployment, checks, why
from support.postgres import postgres  # noqa: F401
from support.servers.stores import any_bucket, azure, azure_bucket, s3, s3_bucket  # noqa: F401
from support.synthetic import rows


@pytest.mark.slow
def test_a_model_lives_on_two_hosts_with_its_frames_in_a_bucket(any_bucket, postgres, tmp_path, monkeypatch):  # noqa: F811
    database = postgres_database(postgres, f"records of {any_bucket.name}")
    monkeypatch.setenv("RECORDS_OF_TEST", database.url)
    storage = Storage(root=f"{any_bucket.url}/mlops", database="$RECORDS_OF_TEST")
    first = Deployment(tmp_path / "first", storage=storage)
    second = Deployment(tmp_path / "second", registry=first.registry, storage=storage)
    landing, suite = tmp_path / "first" / "landing" / "shop", tmp_path / "expectations.yaml"
    declared = {"source": Folder(str(landing / "*.csv")), "expectations": str(suite), "pages": "never"}
    one, two = (host.model("shop", **declared) for host in (first, second))
    for number, model in ((1, one), (2, two), (3, one)):
        result = model.take_in(one.land(f"b{number}", rows(number)))
        assert result.success, why(result)
    assert inferred_version(two.records) and not suite.exists()

    trained = two.train()
    assert trained.success, why(trained)
    assert one.champion() == two.champion() == 1
    scored = one.take_in(one.land("b4", rows(4)))
    assert scored.success, why(scored)
    assert checks(scored)["suite_in_force"].passed and one.shown("dataset")["path"].startswith(f"{storage.root}/shop/")
    assert len(two.predictions("b4")) == len(rows(4))

    found = reproduce(one.records, one.registry, one.registry.versions("shop")[0])
    assert (found.verdict, found.differences, found.notes) == ("identical", (), ())
    assert _scores_of(two) == {"b4": len(rows(4))}
    assert not any((tmp_path / host / "storage").exists() for host in ("first", "second"))
    kept = any_bucket.files.get_file_info(FileSelector(f"{any_bucket.name}/mlops/shop"))
    assert {"dataset", "features", "predictions", "training_set", "suites", "reference"} <= {
        info.base_name for info in kept
    }
    database.close()
    for host in (first, second):
        host.instance.dispose()


def _scores_of(model) -> dict[str, int]:
    """The rows of the predictions of b4, as an asset of a person's own gets them from the bucket."""
    counts: dict[str, int] = {}
    scores = dg.AssetIn(["shop", "predictions"], input_manager_key="mlops_batches")
    batches = model.defs.resolve_assets_def(dg.AssetKey(["shop", "predictions"])).partitions_def

    @dg.asset(partitions_def=batches, ins={"scores": scores})
    def counted(context: dg.AssetExecutionContext, scores: pd.DataFrame) -> None:
        counts[context.partition_key] = len(scores)

    defs = dg.Definitions.merge(model.defs, dg.Definitions(assets=[counted]))
    model.instance.add_dynamic_partitions(batches.name, ["b4"])
    job = defs.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(
        instance=model.instance, partition_key="b4", asset_selection=[dg.AssetKey("counted")], run_config=QUIET
    ).success
    return counts
