"""Jobs that a person launches from the UI, each with a launchpad that asks only for a name and a reason."""

from typing import Literal

import dagster as dg
from pydantic import Field

from mlops_assets.assets.batch.relearn import PersonConfig, relearn_job
from mlops_assets.assets.shared.asset_job import asset_job
from mlops_assets.assets.shared.keys import KIND, MODEL, asset_key, batches
from mlops_assets.assets.shared.metadata import observation
from mlops_assets.dagster_private import NearAssetsJob, OpJob
from mlops_assets.declaration import Declaration
from mlops_assets.errors import MlopsAssetsError
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.resources.storage import Storage

_LAUNCHPAD = "Fill in `by` and `reason`: arrow beside Materialize all, Open launchpad."

Job = NearAssetsJob | OpJob


def jobs_for_people(model: Declaration) -> list[Job]:
    """Return `<model>_rollback`, `_rescore`, `_exclude`, `_relearn`, and `_approve` if approval is required."""
    name = model.name
    rollback = f"Makes the champion before the present one (or `version`, a former champion) champion of {name} again."
    approve = f"Judges the version of {name} that waits for approval anew and makes it champion."
    return [
        _champion_job(model, "rollback", f"{rollback} {_LAUNCHPAD}"),
        _rescore_job(model),
        _exclude_job(model),
        relearn_job(model),
        *([_champion_job(model, "approve", f"{approve} {_LAUNCHPAD}")] if model.approval else []),
    ]


class ExcludeConfig(PersonConfig):
    """Whether the batch is trained on from now on, by whose decision, and why."""

    action: Literal["exclude", "include"] = Field(
        "exclude", description="exclude: do not train on it. include: train on it again. It is scored in either case."
    )


def _champion_job(model: Declaration, action: str, description: str) -> Job:
    of_segments: dict[str, list[str]] = {"segments": []} if model.fleet is not None and action == "rollback" else {}
    config = {"champion": {"action": action, "version": 0, **of_segments, "by": "", "reason": ""}}
    kinds = ("champion", "model_card")
    return asset_job(model.name, action, *kinds, run_kind="champion", config=config, description=description)


def _rescore_job(model: Declaration) -> Job:
    description = f"Scores batches of {model.name} again by the present champion, and judges it on them: pick them "
    kinds = ("predictions", "drift", "performance")
    return asset_job(model.name, "rescore", *kinds, description=f"{description}as partitions.")


def _exclude_job(model: Declaration) -> Job:
    return OpJob.of(
        lambda: _exclude_op(model),
        name=f"{model.name}_exclude",
        partitions_def=batches(model.name),
        config={"ops": {f"{model.name}__exclude": {"config": {"action": "exclude", "by": "", "reason": ""}}}},
        executor_def=dg.in_process_executor,
        tags={MODEL: model.name, KIND: "exclude"},
        description=f"Takes a batch of {model.name}, picked as a partition, out of training or (`action: include`) "
        "back in. Pick the partition first, then fill in `by` and `reason`.",
    )


def _exclude_op(model: Declaration) -> dg.OpDefinition:
    @dg.op(name=f"{model.name}__exclude")
    def exclude(context: dg.OpExecutionContext, config: ExcludeConfig, mlops_storage: Storage) -> None:
        ledger = ModelRecords(model, mlops_storage).batches
        batch = context.partition_key
        by, reason = config.who_and_why(f"{model.name}_exclude")
        if ledger.get(batch) is None:
            raise MlopsAssetsError(f"{model.name}: batch {batch!r} was never taken in, so there is nothing to exclude")
        ledger.exclude(batch, by, reason if config.action == "exclude" else "")
        change = "taken out of training" if config.action == "exclude" else "put back into training"
        context.log.info(f"{model.name}: batch {batch!r} is {change} by {by}: {reason}")
        values = {"training": change, "decided_by": by, "reason": reason}
        dataset = asset_key(model.name, "dataset")
        context.log_event(observation(dataset, values, f"{change} by {by}: {reason}", batch))

    return exclude
