"""Fits a registered version again by its records and compares it with its artifact. Writes nothing."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_assets.assets.training.gates import PREDICTIONS_TAG, predictions_digest
from mlops_assets.assets.training.kept_segments import SEGMENTS_OF, put_together, with_kept_segments
from mlops_assets.assets.training.recipe import HOLDOUT, TRAIN, recipe_of_tags, stored_recipe
from mlops_assets.assets.training.refit_by_recipe import Refitting
from mlops_assets.declaration import Declaration
from mlops_assets.errors import (
    ArtifactError,
    DeclarationError,
    FeaturesError,
    MlopsAssetsError,
    StorageError,
    TrainingError,
)
from mlops_assets.modelling.agreement import Agreement, Difference, Kind, Reproduction, agreement
from mlops_assets.modelling.manifest import Manifest
from mlops_assets.modelling.predictions import Predictions, predict
from mlops_assets.modelling.recipe import Recipe, restored
from mlops_assets.records.manifests import TRAINING_SET, read_manifest
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.rows import Rows, read_holdout, read_train
from mlops_assets.records.versions import BACK_FROM, SEGMENTS_BACK, SEGMENTS_FROM, OwnVersions
from mlops_assets.reproduction.overlay import Overlay
from mlops_assets.reproduction.rows_then_and_now import KINDS, features_anew, source_differences, stored_differences
from mlops_assets.resources import MlflowRegistry
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.text import listed

MOST_ROWS = 100_000
"""Rows of each role on which predictions are compared; of more rows, a sample that is always the same."""


def reproduce(
    records: ModelRecords,
    registry: MlflowRegistry,
    version: ModelVersion,
    as_declared: bool = False,
    check_source: bool = True,
) -> Reproduction:
    """Fit a version again: recorded rows, parameters and seed; current code and packages.

    as_declared: take estimator, parameters and seed from the current declaration, too. check_source: compare the
    current rows of the source with the recorded ones. Nothing is searched again and nothing is written. Raise
    `RegistryError` or `StorageError` if MLflow or the storage does not answer, `TrainingError` if the recipe is
    missing.
    """
    if "data_version" not in version.tags:
        raise TrainingError(
            f"{records.name} version {version.version} has no tag 'data_version': it was not registered by a training "
            "of mlops_assets, so there is nothing to fit it again from"
        )
    recipe, notes = _recipe(records, registry, version)
    if version.refit_of:
        notes.append(f"a refit of version {version.refit_of}, on the rows that it was trained and judged on")
    manifest, differences, whole = _manifest(records, version)
    refitting = Refitting(records.model, recipe, as_declared)
    case = _Case(
        records=records, registry=registry, version=version, refitting=refitting, differences=differences, notes=notes
    )
    if manifest is not None and whole:
        with tempfile.TemporaryDirectory(prefix="mlops_assets_") as folder:
            case.compare(manifest, Path(folder))
    else:
        differences += refitting.differences()
    if manifest is not None and check_source:
        changed, unread = source_differences(ModelRecords(refitting.recorded_model(), records.storage), manifest)
        differences += changed
        notes += unread
    return Reproduction(
        model=records.name,
        version=version.version,
        agreements=case.agreements,
        anew=case.anew,
        differences=tuple(differences),
        notes=tuple(notes),
        fitted_with=refitting.shown() if case.agreements else None,
        anew_failed=case.anew_failed,
    )


@dataclass(kw_only=True)
class _Case:
    """A version that is fitted again, and what comes of it, as in `Reproduction`."""

    records: ModelRecords
    registry: MlflowRegistry
    version: ModelVersion
    refitting: Refitting
    differences: list[Difference]
    notes: list[str]
    agreements: Mapping[str, Agreement] = field(default_factory=dict)
    anew: Mapping[str, Agreement] = field(default_factory=dict)
    anew_failed: bool = False

    def compare(self, manifest: Manifest, folder: Path) -> None:
        """Fit on the stored rows and, if the recomputed features differ, on those too."""
        unchanged, registered = not self.differences, self._registered()
        try:
            model = self.refitting.recorded_model()
            rows = _read(ModelRecords(model, Overlay.above(self.records.storage, folder / "stored", KINDS)), manifest)
            fitted = self._fit(model, rows)
        except MlopsAssetsError as error:
            self.notes.append(f"could not be fitted again: {error}")
            self.differences.extend(self.refitting.differences())
            return
        self.differences.extend(self.refitting.differences(fitted, rows if unchanged else {}))
        try:
            predictions = _predictions(fitted, rows)
            expected = {} if registered is None else _predictions(registered, rows)
        except MlopsAssetsError as error:
            self.notes.append(f"could not be compared: {error}")
            return
        if HOLDOUT in rows and len(rows[HOLDOUT].y) <= MOST_ROWS:  # a refit has no holdout
            self._compare_with_tag((expected or predictions)[HOLDOUT], bool(expected))
        if expected:
            self._compare_anew(model, manifest, folder / "anew", expected)
            self.agreements = _agreements(expected, predictions)

    def _fit(self, model: Declaration, rows: Mapping[str, Rows]) -> Any:
        """Fit again; the segments of a fleet choose again between this fit and the champion of that time.

        A version of which segments went back is put together again, from the two registered versions.
        """
        if SEGMENTS_FROM in self.version.tags:
            return self._put_together()
        fitted, number = self.refitting.fit(model, rows[TRAIN]), self.version.tags.get(SEGMENTS_OF)
        if number is None:
            return fitted
        champion = OwnVersions(self.records, self.registry).version(int(number))
        kept = with_kept_segments(self.registry, self.refitting.model, champion, fitted, rows[HOLDOUT])
        if kept is None:
            raise TrainingError(f"segments keep models of version {number}, which cannot be loaded or score these rows")
        return kept

    def _put_together(self) -> Any:
        versions, tags = OwnVersions(self.records, self.registry), self.version.tags
        champion, former = (versions.version(int(tags[name])) for name in (BACK_FROM, SEGMENTS_FROM))
        note = f"put together of versions {champion.version} and {former.version}, which `reproduce` fits again"
        if note not in self.notes:
            self.notes.append(note)
        model = self.refitting.model
        fitted = self.registry.load(champion, model.serialization, model.trusted_types)
        return put_together(self.registry, model, fitted, former, json.loads(tags[SEGMENTS_BACK]))

    def _registered(self) -> Any:
        """Return the registered model; None, and a recorded difference, if its artifact is refused."""
        model = self.refitting.model
        try:
            return self.registry.load(self.version, model.serialization, model.trusted_types)
        except ArtifactError as error:
            self.differences.append(Difference("artifact", "the registered model", note=str(error), enters="fit"))
            return None

    def _compare_with_tag(self, predictions: Predictions, registered: bool) -> None:
        """Note how predictions for the holdout compare with those made when the version was fitted."""
        digest = self.version.tags.get(PREDICTIONS_TAG)
        same = predictions_digest(predictions) == digest
        if digest is None or (registered and same):
            return
        does = "predicts" if same else "does not predict"
        self.notes.append(
            "the registered model itself does not predict on the holdout what it did when fitted"
            if registered
            else f"the refit {does} on the holdout, bit for bit, what the version did when it was fitted"
        )

    def _compare_anew(
        self, model: Declaration, manifest: Manifest, folder: Path, expected: Mapping[str, Predictions]
    ) -> None:
        """Compare a model fitted on recomputed features, if they differ from the stored ones."""
        kind, what = _kind(model, self.differences), "features computed anew"
        place = Overlay.above(self.records.storage, folder, ("dataset", "labels"))
        try:
            computed, changed = features_anew(ModelRecords(model, self.records.storage), manifest, place)
            if not changed:
                return
            columns = dict.fromkeys(name for names in changed.values() for name in names)
            note = f"other values in {listed(columns)}{_hint(model, self.differences)}"
            of_batches = f"{what} of batches {listed(changed)}"
            self.differences.append(Difference(kind, of_batches, note=note, enters="features"))
            rows = _read(ModelRecords(model, place), computed)
            self.anew = _agreements(expected, _predictions(self._fit(model, rows), rows))
        except (DeclarationError, FeaturesError, TrainingError) as error:
            self.differences.append(Difference(kind, what, note=str(error), enters="features"))
            self.anew_failed = True
        except MlopsAssetsError as error:
            self.notes.append(f"features could not be computed anew and compared: {error}")


def _recipe(records: ModelRecords, registry: MlflowRegistry, version: ModelVersion) -> tuple[Recipe, list[str]]:
    """Return the recipe of a version, else one from its tags and its run with a note of what they lack."""
    model = records.model
    recipe = stored_recipe(records, version)
    if recipe is not None:
        return recipe, []
    recipe = recipe_of_tags(model, version, registry)
    recorded = version.tags.get("declaration_version")
    params = restored(recipe.given, {name: [value] for name, value in model.params.items()})
    now = model.model_copy(update={"params": params}).training_version
    change = "nothing of it changed" if now == recorded else f"it was {recorded} and is {now}: cannot tell which field"
    return recipe, [
        f"version {version.version} was registered before the declaration and the code were recorded, by their "
        f"digest alone; {change}; cannot tell other processors or threads"
    ]


def _manifest(records: ModelRecords, version: ModelVersion) -> tuple[Manifest | None, list[Difference], bool]:
    """Return the recorded training set, its differences, and whether all its rows can be read."""
    then = version.data_version
    try:
        manifest = read_manifest(records, then)
    except StorageError:  # a storage that does not answer is no difference
        raise
    except MlopsAssetsError as error:
        return None, [Difference("data", "training set", then=then, now="gone", note=str(error))], False
    if manifest.version != then:
        note = f"{records.storage.document_place(records.name, TRAINING_SET, then)} was changed: restore it"
        return None, [Difference("data", "training set", then=then, now=manifest.version, note=note)], False
    return manifest, *stored_differences(records, manifest)


def _read(records: ModelRecords, manifest: Manifest) -> dict[str, Rows]:
    """Return the rows of the manifest by role; a refit has no holdout."""
    holdout = {HOLDOUT: read_holdout(records, manifest)} if manifest.holdout else {}
    return {TRAIN: read_train(records, manifest), **holdout}


def _predictions(fitted: Any, rows: Mapping[str, Rows]) -> dict[str, Predictions]:
    """Return the predictions of a model by role, for at most `MOST_ROWS` rows."""
    features = {role: of_role.X for role, of_role in rows.items()}
    for role, X in features.items():
        if len(X) > MOST_ROWS:  # else as they are stored: a copy may be laid out otherwise, and bits count
            features[role] = X.sample(MOST_ROWS, random_state=0).sort_index()
    return {role: predict(fitted, X) for role, X in features.items()}


def _agreements(expected: Mapping[str, Predictions], refit: Mapping[str, Predictions]) -> dict[str, Agreement]:
    return {role: agreement(expected[role], refit[role]) for role in expected}


def _kind(model: Declaration, differences: Sequence[Difference]) -> Kind:
    """Return the most likely reason why recomputed features differ."""
    recorded = {(difference.kind, difference.enters) for difference in differences}
    likely: Sequence[tuple[Kind, str]] = (("data", "both"), ("code", "features"), ("package", "both"))
    return next((kind for kind, enters in likely if (kind, enters) in recorded), "data" if model.lookback else "code")


def _hint(model: Declaration, differences: Sequence[Difference]) -> str:
    if any(difference.enters in ("features", "both") for difference in differences):
        return ""
    history = "earlier rows came or changed since, or " if model.lookback else ""
    return f"; the function is as it was: {history}something changed that it uses and that is not in its module"
