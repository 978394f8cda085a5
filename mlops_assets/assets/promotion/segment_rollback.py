"""Segments of a fleet that go back to a former champion's models, in a version of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence

from mlops_assets.assets.training.fit import register, run_of, tags_of
from mlops_assets.assets.training.gates import Case, open_case
from mlops_assets.assets.training.kept_segments import put_together
from mlops_assets.assets.training.recipe import stored_recipe
from mlops_assets.assets.training.segment_tables import store_segments
from mlops_assets.assets.training.step import Step
from mlops_assets.errors import MlopsAssetsError, TrainingError
from mlops_assets.records.references import record_importance, recorded_importance, store_reference
from mlops_assets.records.versions import BACK_FROM, SEGMENTS_BACK, SEGMENTS_FROM
from mlops_assets.resources.mlflow.model_version import SAMPLE, ModelVersion

_KEPT_TAGS = ("declaration_version", "features_version", "trained_until", "seed", "serialization", SAMPLE)
_LONGEST = 4_000


def with_segments_of(step: Step, champion: ModelVersion, former: ModelVersion, segments: Sequence[str]) -> ModelVersion:
    """Return a registered version: the champion with a former champion's models for these segments.

    A version that an earlier run put together and registered is returned as it is. Nothing is promoted.
    """
    names = json.dumps(sorted(set(segments)))
    if champion.refit_of:
        raise TrainingError(f"version {champion.version} is a refit: roll back to version {former.version} as a whole")
    if len(names) > _LONGEST:
        raise MlopsAssetsError(
            f"{len(segments):,} segments are too many to be named one by one (names may have {_LONGEST:,} signs): "
            f"roll back to version {former.version} as a whole"
        )
    tags = {BACK_FROM: str(champion.version), SEGMENTS_FROM: str(former.version), SEGMENTS_BACK: names}
    case = open_case(step.records, step.registry, champion)
    version = step.versions.find(**tags) or _registered(step, case, former, tags)
    whole = open_case(step.records, step.registry, version)
    store_reference(step.records, version, whole.train, whole.holdout, whole.predictions)
    store_segments(step, version, whole.fitted, whole.train)
    importance = recorded_importance(step.records, champion)
    if importance is not None:
        record_importance(step.records, version, importance)
    return version


def _registered(step: Step, case: Case, former: ModelVersion, tags: dict[str, str]) -> ModelVersion:
    """Put a version together and register it, with the recipe of the champion."""
    champion, model = case.version, step.model
    recipe = stored_recipe(step.records, champion)
    if recipe is None:
        raise TrainingError(f"version {champion.version} was registered before recipes were kept: train it again")
    whole = put_together(step.registry, model, case.fitted, former, json.loads(tags[SEGMENTS_BACK]))
    own = {name: champion.tags[name] for name in _KEPT_TAGS if name in champion.tags}
    tags = {**tags_of(step, case.manifest, champion.declaration_version, champion.sample), **own, **tags}
    with run_of(step, f"segments of version {former.version} in version {champion.version}", tags) as run_id:
        return register(step, run_id, tags, whole, recipe, case.train, case.holdout)
