"""The jobs that a person launches from the UI: what their launchpads hold, what they do, what they refuse."""

from copy import deepcopy
from typing import Any

import dagster as dg
import pytest

from mlops_assets.assets.shared.keys import KIND, MODEL, asset_key
from mlops_assets.records.manifests import read_manifest
from mlops_assets.records.promotions import PromotionLedger
from mlops_assets.text import inert
from support.deployment import QUIET, DeployedModel, plain, why
from support.synthetic import rows

ADA = {"by": "ada", "reason": "complaints since Monday"}


@pytest.fixture
def model(promoted: DeployedModel) -> DeployedModel:
    promoted.prepare(b3=rows(3))
    return promoted


def launch(model: DeployedModel, job: str, batch: str | None = None, **filled_in: Any) -> dg.ExecuteInProcessResult:
    """The job with the config of its launchpad, and what a person filled in."""
    found = model.defs.resolve_job_def(f"{model.name}_{job}")
    ops = deepcopy(launchpad(model, job))
    for op in ops.values():
        op["config"].update(filled_in)
    return found.execute_in_process(
        instance=model.instance, raise_on_error=False, run_config={**QUIET, "ops": ops}, partition_key=batch
    )


def launchpad(model: DeployedModel, job: str) -> dict[str, Any]:
    """The config that the UI shows before anything is filled in."""
    found = model.defs.resolve_job_def(f"{model.name}_{job}")
    if found.partitioned_config is None:
        return dict(found.run_config or {}).get("ops", {})
    return dict(found.partitioned_config.get_run_config_for_partition_key("b1")).get("ops", {})


def newest_observation(model: DeployedModel) -> dg.AssetObservation:
    (record,) = model.instance.fetch_observations(asset_key(model.name, "dataset"), limit=1).records
    assert record.asset_observation is not None
    return record.asset_observation


def test_each_job_has_a_sentence_its_tags_and_a_launchpad_to_fill_in(deployment, name):
    model = deployment.model(name, approval="required")
    op, blank = f"{name}__champion", {"version": 0, "by": "", "reason": ""}
    assert launchpad(model, "rollback") == {op: {"config": {"action": "rollback", **blank}}}
    assert launchpad(model, "approve") == {op: {"config": {"action": "approve", **blank}}}
    assert launchpad(model, "exclude") == {
        f"{name}__exclude": {"config": {"action": "exclude", "by": "", "reason": ""}}
    }
    kinds = {
        "rollback": "champion",
        "approve": "champion",
        "rescore": "rescore",
        "exclude": "exclude",
        "relearn": "relearn",
    }
    for job, kind in kinds.items():
        found = model.defs.resolve_job_def(f"{name}_{job}")
        assert (found.tags[MODEL], found.tags[KIND]) == (name, kind)
        assert found.description and name in found.description
        assert found.executor_def == dg.in_process_executor


def test_approve_is_there_only_where_approval_is_required(deployment, name):
    jobs = {job.name for job in deployment.model(name).pipeline.build_defs().jobs or ()}
    assert f"{name}_rollback" in jobs and f"{name}_approve" not in jobs


def test_rollback_goes_to_the_champion_before_and_the_card_follows(model):
    said = why(launch(model, "rollback"))
    assert "action 'rollback' needs `by` (who) and `reason` (why): open the launchpad" in said and model.champion() == 2
    assert launch(model, "rollback", **ADA).success
    assert (model.champion(), model.shown("champion")["version_before"]) == (1, 2)
    assert PromotionLedger(model.storage, model.name).champion().by == "ada"
    card = model.shown("model_card")
    assert card["version"] == 1 and "by ada" in card["card"] and "complaints since Monday" in card["card"]
    assert launch(model, "rollback", version=2, **ADA).success and model.champion() == 2


def test_rollback_without_a_former_champion_says_so(deployment, name):
    model = deployment.model(name)
    model.prepare(b1=rows(1), b2=rows(2))
    assert model.challenge(alpha=0.1).success
    said = why(launch(model, "rollback", **ADA))
    assert f"{name}: there is no champion before the present one to go back to" in said
    assert model.champion() == 1


@pytest.mark.promise(1)
@pytest.mark.fault(62)
def test_rollback_refuses_a_changed_artifact(model):
    stored = model.registry.artifact(model.registry.version(model.name, 1).run_id, "model") / "model.skops"
    stored.write_bytes(stored.read_bytes() + b"\0")
    assert "version 1 has changed since it was registered" in why(launch(model, "rollback", **ADA))
    assert model.champion() == 2


def test_batches_are_scored_again_by_the_present_champion(model):
    assert model.take_in(model.land("b4", rows(4))).success
    assert set(model.predictions("b4")["model_version"]) == {2}
    assert launch(model, "rollback", **ADA).success
    result = launch(model, "rescore", batch="b4")
    assert result.success
    assert set(model.predictions("b4")["model_version"]) == {1}
    done = {event.asset_key.path[1] for event in result.get_asset_materialization_events()}
    assert done == {"predictions", "drift", "performance"}


def test_a_batch_is_taken_out_of_training_with_who_and_why_scored_on_and_put_back(model):
    said = why(launch(model, "exclude", batch="b1", by="ada"))
    assert "fill in `by` (who) and `reason` (why) in the launchpad" in said and f"{model.name}_exclude" in said
    assert model.record("b1").excluded is None
    assert "batch 'b9' was never taken in" in why(launch(model, "exclude", batch=model._known("b9"), **ADA))

    assert launch(model, "exclude", batch="b1", by="ada", reason="broken <b>scale</b>").success
    said = "taken out of training by ada: broken <b>scale</b>"
    assert model.record("b1").ready(model.pipeline.features_version) == said
    seen = newest_observation(model)
    assert (seen.partition, seen.description) == ("b1", inert(said))
    assert plain(seen.metadata) == {
        "training": "taken out of training",
        "decided_by": "ada",
        "reason": "broken <b>scale</b>",
    }
    assert model.challenge(alpha=0.3).success
    manifest = read_manifest(model.records, model.shown("training_set")["version"])
    assert [batch.key for batch in manifest.train] == ["b2"] and manifest.left_out == (("b1", said),)
    assert launch(model, "rescore", batch="b1").success
    assert set(model.predictions("b1")["model_version"]) == {model.champion()}

    assert launch(model, "exclude", batch="b1", action="include", by="bo", reason="mended").success
    assert model.record("b1").ready(model.pipeline.features_version) is None
    assert newest_observation(model).description == "put back into training by bo: mended"
