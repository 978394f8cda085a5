"""`<model>_relearn`: learns the kinds of columns and the inferred suite again from the accepted batches."""

import dagster as dg
from pydantic import Field

from mlops_assets.assets.batch.expectations import suite_of
from mlops_assets.assets.batch.intake import judged_columns
from mlops_assets.assets.shared.keys import KIND, MODEL, asset_key
from mlops_assets.assets.shared.metadata import observation
from mlops_assets.dagster_private import OpJob
from mlops_assets.declaration import Declaration
from mlops_assets.errors import MlopsAssetsError
from mlops_assets.records.column_kinds import (
    learnt_from,
    of_features,
    record_kinds,
    stored_dataset,
    stored_features,
)
from mlops_assets.records.frames import DATASET
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.resources.storage import Storage


class PersonConfig(dg.Config):
    """Who asks for it, and why."""

    by: str = Field("", description="Who asks for it.")
    reason: str = Field("", description="Why.")

    def who_and_why(self, job: str) -> tuple[str, str]:
        """Return `by` and `reason`; raise `MlopsAssetsError` if either is blank."""
        by, reason = self.by.strip(), self.reason.strip()
        if not by or not reason:
            raise MlopsAssetsError(f"fill in `by` (who) and `reason` (why) in the launchpad of {job}")
        return by, reason


def relearn_job(model: Declaration) -> OpJob:
    """Return a job for people; rejected batches are checked once more if the kinds have changed."""
    return OpJob.of(
        lambda: _relearn_op(model),
        name=f"{model.name}_relearn",
        config={"ops": {f"{model.name}__relearn": {"config": {"by": "", "reason": ""}}}},
        executor_def=dg.in_process_executor,
        tags={MODEL: model.name, KIND: "relearn"},
        description=f"Learns the kinds of the columns of {model.name}, and its inferred suite, anew from the accepted "
        "batches. Fill in `by` and `reason`.",
    )


def _relearn_op(model: Declaration) -> dg.OpDefinition:
    @dg.op(name=f"{model.name}__relearn")
    def relearn(context: dg.OpExecutionContext, config: PersonConfig, mlops_storage: Storage) -> None:
        records = ModelRecords(model, mlops_storage)
        by, reason = config.who_and_why(f"{model.name}_relearn")
        columns = _relearn_kinds(records)
        suite = suite_of(model).infer_anew(records, context.log)
        context.log.info(f"{model.name}: {columns} columns are learnt anew by {by}: {reason}; suite: {suite}")
        values = {"relearnt_by": by, "reason": reason, "suite": suite, "columns": columns}
        context.log_event(observation(asset_key(model.name, "dataset"), values, f"learnt anew by {by}: {reason}"))

    return relearn


def _relearn_kinds(records: ModelRecords) -> int:
    """Learn the kinds of the dataset's columns and of the features again; return the number of the columns."""
    version = records.model.features_version
    accepted = [record for record in records.batches.all() if record.status == "accepted"]
    learnt = learnt_from(accepted, stored_dataset(records))
    dataset = None if learnt is None else judged_columns(records.model, learnt)
    record_kinds(records, DATASET, dataset)
    record_kinds(records, of_features(version), learnt_from(accepted, stored_features(records, version)))
    return 0 if dataset is None else len(dataset.columns)
