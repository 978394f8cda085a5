"""`training_set`: which versions of which batches the next model is trained and judged on."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dagster as dg

from mlops_assets.assets.shared.keys import asset_key, check_specs
from mlops_assets.assets.shared.metadata import check_result, metadata
from mlops_assets.assets.shared.model_asset import Asset, model_asset
from mlops_assets.assets.training.outcome import note_unfit_data
from mlops_assets.assets.training.step import Step
from mlops_assets.checks import CheckOutcome
from mlops_assets.declaration import Declaration
from mlops_assets.errors import TrainingError
from mlops_assets.modelling.manifest import Manifest
from mlops_assets.modelling.splits import split_in_time
from mlops_assets.records.batches import batch_info
from mlops_assets.records.labels import unready
from mlops_assets.records.manifests import TRAINING_SET, read_manifest, with_sample
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.rows import Rows, read_holdout, read_train, sample_of
from mlops_assets.resources import MlflowRegistry, Storage
from mlops_assets.text import shown

CHECKS = {
    "enough_rows": "Both sides of the split have enough labelled rows.",
    "more_than_one_class": "Both sides hold labels that differ.",
    "split_in_time": "The holdout lies later than all training rows.",
    "no_key_overlap": "No row, by its declared key, is on both sides.",
}
MIN_TRAIN_ROWS = 30
MIN_HOLDOUT_ROWS = 20


def training_set_asset(model: Declaration) -> Asset:
    """Return the asset `training_set`: a manifest of batches; the rows stay where they are."""
    key = asset_key(model.name, "training_set")

    @model_asset(
        model,
        "training_set",
        kinds={"pandas"},
        code_version=model.training_version,
        deps=[asset_key(model.name, kind) for kind in ("features", *(["outcomes"] if model.outcomes else []))],
        description=f"Batches that {model.name} is trained on and, later ones, judged on.",
        check_specs=check_specs(model.name, "training_set", CHECKS),
    )
    def training_set(
        context: dg.AssetExecutionContext, mlops_storage: Storage, mlflow_registry: MlflowRegistry
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
        records = ModelRecords(model, mlops_storage)
        champion = records.champion
        manifest = split(records, None if champion is None else champion.data_version)
        mlops_storage.write_document(model.name, TRAINING_SET, manifest.version, manifest.to_dict())
        train, holdout = (read(records, manifest) for read in (read_train, read_holdout))
        sample = sample_of(train, holdout)
        if sample:
            context.log.warning(f"{model.name}: {sample}")
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(manifest.version),
            metadata=metadata(
                {
                    "version": manifest.version,
                    "train_rows": len(train.y),
                    "holdout_rows": len(holdout.y),
                    "sample": sample or None,
                    "sampled_classes": _sampled_classes(train, holdout) or None,
                    "train_batches": len(manifest.train),
                    "holdout_batches": len(manifest.holdout),
                    "left_out_batches": len(manifest.left_out),
                    "trained_until": manifest.trained_until,
                    "batches": manifest.table(),
                    "profile": _profile(train, holdout),
                }
            ),
        )
        outcomes = split_checks(model, manifest, train, holdout)
        note_unfit_data(Step(records, mlflow_registry, context), manifest.version, outcomes)
        yield from (check_result(outcome, key) for outcome in outcomes)

    return training_set


def split(records: ModelRecords, champion: str | None) -> Manifest:
    """Split the batches that can be trained on; name the others with the reason.

    champion: data version of the champion's training set, None without one. The holdout must be later than what the
    champion was trained on, and leaves half of what came since for training. Where the rows do not fit into memory the
    batches say which share of them is used.
    """

    model = records.model
    state = [(record, unready(model, record)) for record in records.batches.all()]
    left_out = tuple((record.batch, why) for record, why in state if why is not None)
    infos = [batch_info(record) for record, why in state if why is None]
    champion_set = None if champion is None else read_manifest(records, champion)
    after = [batch.key for batch in champion_set.train] if champion_set else []
    known = after + [batch.key for batch in champion_set.holdout] if champion_set else []
    try:
        manifest = split_in_time(infos, model.holdout, model.window, after, known)
    except TrainingError as error:
        out = "; ".join(f"{batch}: {why}" for batch, why in left_out[:5])
        raise TrainingError(f"ModelPipeline {model.name!r}: {error} Batches left out: {out or 'none'}") from error
    return with_sample(records, replace(manifest, left_out=(*left_out, *manifest.left_out)))


def split_checks(model: Declaration, manifest: Manifest, train: Rows, holdout: Rows) -> list[CheckOutcome]:
    """Check whether a sound model can be fitted and judged on these rows."""
    return [
        _enough_rows(train, holdout),
        _more_than_one_class(model, train, holdout),
        _split_in_time(model, manifest, train, holdout),
        _no_key_overlap(model, train, holdout),
    ]


def too_few(train: int, holdout: int) -> str:
    """Return why so many labelled rows on each side are too few, and what to do; "" if they are enough."""
    if train >= MIN_TRAIN_ROWS and holdout >= MIN_HOLDOUT_ROWS:
        return ""
    return f"{_counted(train, holdout)}; wait for more labelled rows, or declare another holdout"


def _counted(train: int, holdout: int) -> str:
    return (
        f"{train:,} labelled rows to train on (at least {MIN_TRAIN_ROWS}), "
        f"{holdout:,} to judge on (at least {MIN_HOLDOUT_ROWS})"
    )


def _enough_rows(train: Rows, holdout: Rows) -> CheckOutcome:
    rows = len(train.y), len(holdout.y)
    message = _counted(*rows)
    if train.known_later:
        message += f"; {train.known_later:,} labels were not known yet when the holdout begins, and are not trained on"
    if sample := sample_of(train, holdout):
        message += f"; {sample}"
    return CheckOutcome("enough_rows", not too_few(*rows), message)


def _more_than_one_class(model: Declaration, train: Rows, holdout: Rows) -> CheckOutcome:
    sides = {"training rows": train.y, "holdout rows": holdout.y}
    single = [
        f"all {len(y):,} {side} have {model.target} = {shown(y.iloc[0])}"
        for side, y in sides.items()
        if y.nunique() == 1
    ]
    message = "; ".join(single) + ": nothing can be learned or judged; widen the window or wait for other labels"
    return CheckOutcome("more_than_one_class", not single, message if single else "labels differ on both sides")


def _split_in_time(model: Declaration, manifest: Manifest, train: Rows, holdout: Rows) -> CheckOutcome:
    if not model.time:
        message = f"`time` is not declared: split by batch after {manifest.train[-1].key!r}"
        return CheckOutcome("split_in_time", True, message)
    last, first = train.about[model.time].max(), holdout.about[model.time].min()
    message = f"training rows end {last}, the holdout begins {first}".replace(" 00:00:00", "")
    return CheckOutcome("split_in_time", bool(last <= first), message)


def _no_key_overlap(model: Declaration, train: Rows, holdout: Rows) -> CheckOutcome:
    if not model.key:
        return CheckOutcome("no_key_overlap", True, "`key` is not declared: rows cannot be distinguished")
    shared = holdout.about[model.key].drop_duplicates().merge(train.about[model.key].drop_duplicates(), on=model.key)
    examples = shared.head(5).astype(str).to_dict("records")
    message = f"{len(shared):,} keys are on both sides" + (f", such as {examples[0]}" if examples else "")
    return CheckOutcome("no_key_overlap", shared.empty, message, metadata={"examples": examples} if examples else {})


def _sampled_classes(train: Rows, holdout: Rows) -> list[dict[str, object]]:
    """Return one row for each class of which rows were drawn: how many of how many, and its share before and after."""
    return [
        {
            "rows of": role,
            "class": shown(kind.value),
            "rows": kind.rows,
            "taken": kind.taken,
            "share of all": kind.rows / max(drawn.rows, 1),
            "share of taken": kind.taken / max(drawn.taken, 1),
        }
        for role, rows in (("training", train), ("holdout", holdout))
        for drawn in rows.drawn
        for kind in drawn.classes
    ]


def _profile(train: Rows, holdout: Rows) -> list[dict[str, object]]:
    """Return one row for each feature: how it looks on both sides."""
    return [
        {
            "feature": str(name),
            "type": str(column.dtype),
            "missing": float(column.isna().mean()),
            "distinct": int(column.nunique()),
            "train mean": float(column.mean()) if column.dtype.kind in "iuf" else None,
            "holdout mean": float(holdout.X[name].mean()) if column.dtype.kind in "iuf" else None,
        }
        for name, column in train.X.items()
    ]
