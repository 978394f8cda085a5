"""Fits a registered version again by its records and compares it with its artifact. Writes nothing."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_assets.assets.training.gates import predictions_digest
from mlops_assets.assets.training.recipe import HOLDOUT, TRAIN, recipe_of_tags, stored_recipe
from mlops_assets.assets.training.refit_by_recipe import Refitting
from mlops_assets.declaration import Declaration
from mlops_assets.errors import ArtifactError, DeclarationError, FeaturesError, MlopsAssetsError, TrainingError
from mlops_assets.lazy import np, pd
from mlops_assets.modelling.manifest import Manifest
from mlops_assets.modelling.predictions import Predictions, predict
from mlops_assets.modelling.recipe import Recipe, restored
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.rows import Rows, read_holdout, read_manifest, read_train
from mlops_assets.reproduction.rows_then_and_now import features_anew, source_differences, stored_differences
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
from mlops_assets.text import listed

if TYPE_CHECKING:
    from mlops_assets.modelling.agreement import Agreement, Difference, Kind, Reproduction

MOST_ROWS = 100_000
"""Rows of each role on which predictions are compared; of more rows, a sample that is always the same."""


def reproduce(
    records: ModelRecords,
    version: ModelVersion,
    registry: MlflowRegistry,
    as_declared: bool = False,
    check_source: bool = True,
) -> "Reproduction":
    """Fit a version again: recorded rows, parameters and seed; current code and packages.

    as_declared: take estimator, parameters and seed from the current declaration, too. check_source: compare the
    current rows of the source with the recorded ones. Nothing is searched again and nothing is written. Raise
    `RegistryError` if MLflow does not answer, `TrainingError` if the recipe is missing.
    """
    from mlops_assets.modelling.agreement import Reproduction

    model = records.model
    if "data_version" not in version.tags:
        raise TrainingError(
            f"{model.name} version {version.version} does not say what it was trained on: it was not registered by a "
            "training of mlops_assets, so there is nothing to fit it again from"
        )
    recipe, notes = _recipe(records, version, registry)
    if version.refit_of:
        notes.append(f"a refit of version {version.refit_of}, on the rows that it was trained and judged on")
    manifest, found, whole = _manifest(records, version)
    refitting = Refitting(model, recipe, as_declared)
    compared = _Compared()
    if manifest is not None and whole:
        with tempfile.TemporaryDirectory(prefix="mlops_assets_") as folder:
            case = _Case(version, manifest, refitting, records, registry, Path(folder), found, notes)
            compared = case.compared()
    else:
        found += refitting.differences()
    if manifest is not None and check_source:
        in_source, unread = source_differences(ModelRecords(refitting.recorded_model(), records.storage), manifest)
        found += in_source
        notes += unread
    return Reproduction(
        model.name,
        version.version,
        compared.agreements,
        compared.anew,
        tuple(found),
        tuple(notes),
        refitting.shown() if compared.agreements else None,
        compared.anew_failed,
    )


@dataclass(frozen=True)
class _Compared:
    """Agreements of the refit on the stored features and on recomputed features, as in `Reproduction`."""

    agreements: "Mapping[str, Agreement]" = field(default_factory=dict)
    anew: "Mapping[str, Agreement]" = field(default_factory=dict)
    anew_failed: bool = False


@dataclass(frozen=True)
class _Case:
    """A version whose rows exist; `found` and `notes` collect the differences and remarks."""

    version: ModelVersion
    manifest: "Manifest"
    refitting: Refitting
    records: ModelRecords
    registry: MlflowRegistry
    folder: Path
    found: "list[Difference]"
    notes: list[str]

    def compared(self) -> _Compared:
        """Fit on the stored rows and, if the recomputed features differ, on those too."""
        unchanged, registered = not self.found, self._registered()
        try:
            then = self.refitting.recorded_model()
            rows = _read(ModelRecords(then, _view(self.records, self.folder / "stored")), self.manifest)
            fitted = self.refitting.fit(then, rows[TRAIN])
        except MlopsAssetsError as error:
            self.notes.append(f"could not be fitted again: {error}")
            self.found.extend(self.refitting.differences())
            return _Compared()
        self.found.extend(self.refitting.differences(fitted, rows if unchanged else {}))
        try:
            said = {role: _said(fitted, each.X) for role, each in rows.items()}
            expected = None if registered is None else {role: _said(registered, each.X) for role, each in rows.items()}
        except MlopsAssetsError as error:
            self.notes.append(f"could not be compared: {error}")
            return _Compared()
        if HOLDOUT in said:  # a refit has no holdout
            self._of_then(said[HOLDOUT] if expected is None else expected[HOLDOUT], expected is not None)
        if expected is None:
            return _Compared()
        anew, failed = self._anew(then, expected)
        return _Compared(_agreements(expected, said), anew, failed)

    def _registered(self) -> Any:
        """Return the registered model; None, and a recorded difference, if its artifact is refused."""
        from mlops_assets.modelling.agreement import Difference

        model = self.refitting.model
        try:
            return self.registry.load(self.version, model.serialization, model.trusted_types)
        except ArtifactError as error:
            self.found.append(Difference("artifact", "the registered model", note=str(error), enters="fit"))
            return None

    def _of_then(self, said: "Predictions", registered: bool) -> None:
        """Note how predictions for the holdout compare with those made when the version was fitted."""
        then = self.version.tags.get("holdout_predictions")
        if then is None or self.manifest.rows("holdout") > MOST_ROWS:
            return
        same = predictions_digest(said) == then
        if registered and not same:
            self.notes.append("the registered model itself does not predict on the holdout what it did when fitted")
        elif not registered:
            does = "predicts" if same else "does not predict"
            self.notes.append(f"the refit {does} on the holdout, bit for bit, what the version did when it was fitted")

    def _anew(self, then: Declaration, expected: "Mapping[str, Predictions]") -> "tuple[Mapping[str, Agreement], bool]":
        """Return the agreements of a model fitted on recomputed features; empty if they equal the stored ones."""
        from mlops_assets.modelling.agreement import Difference

        place = _view(self.records, self.folder / "anew", ("dataset", "labels"))
        kind = _kind(then, self.found)
        try:
            named, changed = features_anew(ModelRecords(then, self.records.storage), self.manifest, place)
            if not changed:
                return {}, False
            columns = dict.fromkeys(name for names in changed.values() for name in names)
            note = f"other values in {listed(columns)}{_hint(then, self.found)}"
            what = f"features computed anew of batches {listed(changed)}"
            self.found.append(Difference(kind, what, note=note, enters="features"))
            rows = _read(ModelRecords(then, place), named)
            fitted = self.refitting.fit(then, rows[TRAIN])
            return _agreements(expected, {role: _said(fitted, each.X) for role, each in rows.items()}), False
        except (DeclarationError, FeaturesError, TrainingError) as error:
            self.found.append(Difference(kind, "features computed anew", note=str(error), enters="features"))
            return {}, True
        except MlopsAssetsError as error:
            self.notes.append(f"features could not be computed anew and compared: {error}")
            return {}, False


def _recipe(records: ModelRecords, version: ModelVersion, registry: MlflowRegistry) -> "tuple[Recipe, list[str]]":
    """Return the recipe of a version, else one from its tags and its run with a note of what they lack."""

    model = records.model
    recipe = stored_recipe(records, version)
    if recipe is not None:
        return recipe, []
    recipe = recipe_of_tags(model, version, registry)
    recorded = version.tags.get("declaration_version")
    given = restored(recipe.given, {name: [value] for name, value in model.params.items()})
    now = model.model_copy(update={"params": given}).training_version
    told = "nothing of it changed" if now == recorded else f"it was {recorded} and is {now}: cannot tell which field"
    return recipe, [
        f"version {version.version} was registered before the declaration and the code were recorded, by their "
        f"digest alone; {told}; cannot tell other processors or threads"
    ]


def _manifest(records: ModelRecords, version: ModelVersion) -> "tuple[Manifest | None, list[Difference], bool]":
    """Return the recorded training set, its differences, and whether all its rows can be read."""
    from mlops_assets.modelling.agreement import Difference

    then = version.data_version
    place = f"{records.storage.root}/{records.name}/training_set/{then}.json"
    try:
        manifest = read_manifest(records, then)
    except MlopsAssetsError as error:
        return None, [Difference("data", "training set", then, "gone", str(error))], False
    if manifest.version != then:
        note = f"{place} was changed: restore it"
        return None, [Difference("data", "training set", then, manifest.version, note)], False
    differences, whole = stored_differences(records, manifest)
    return manifest, differences, whole


def _view(records: ModelRecords, root: Path, kinds: Sequence[str] = ()) -> Storage:
    """Return the stored frames of a model (of some kinds) below a temporary folder, which may be written to.

    Rows are cached by the place that they were read from; from this new place they are read afresh.
    """
    stored = Path(records.storage.root).absolute() / records.name
    for kind in kinds:
        if (stored / kind).exists():
            (root / records.name).mkdir(parents=True, exist_ok=True)
            (root / records.name / kind).symlink_to(stored / kind)
    if not kinds:
        root.mkdir(parents=True)
        (root / records.name).symlink_to(stored)
    return Storage(root=str(root))


def _read(records: ModelRecords, manifest: "Manifest") -> dict[str, Rows]:
    """Return the rows of the manifest by role; a refit has no holdout."""
    train = {TRAIN: read_train(records, manifest)}
    return {**train, HOLDOUT: read_holdout(records, manifest)} if manifest.holdout else train


def _said(fitted: Any, X: "pd.DataFrame") -> "Predictions":

    if len(X) > MOST_ROWS:
        X = X.iloc[np.sort(np.random.default_rng(0).choice(len(X), MOST_ROWS, replace=False))]
    return predict(fitted, X)


def _agreements(expected: "Mapping[str, Predictions]", said: "Mapping[str, Predictions]") -> "dict[str, Agreement]":
    from mlops_assets.modelling.agreement import agreement

    return {role: agreement(expected[role], said[role]) for role in expected}


def _kind(then: Declaration, differences: "Sequence[Difference]") -> "Kind":
    """Return the most likely reason why recomputed features differ."""
    if any(each.kind == "data" and each.enters == "both" for each in differences):
        return "data"
    if any(each.kind == "code" and each.enters == "features" for each in differences):
        return "code"
    if any(each.kind == "package" and each.enters == "both" for each in differences):
        return "package"
    return "data" if then.lookback else "code"


def _hint(then: Declaration, differences: "Sequence[Difference]") -> str:
    if any(each.enters in ("features", "both") for each in differences):
        return ""
    history = "earlier rows came or changed since, or " if then.lookback else ""
    return f"; the function is as it was: {history}something changed that it uses and that is not in its module"
