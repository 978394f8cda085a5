"""The recipe of a version: written when it is fitted, read when it is fitted again."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from mlops_assets.declaration import Declaration
from mlops_assets.dotted import resolve
from mlops_assets.errors import TrainingError
from mlops_assets.modelling.recipe import NO_LITERAL, Recipe, code_of, digest_of, machine, packages_of, text_of
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.rows import Rows
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.sources.data_version import data_version

RECIPE_TAG = "recipe"
TRAIN, HOLDOUT = "training rows", "holdout"

_NOT_FITTED = frozenset(
    {"name", "source", "outcomes", "params", "expectations", "extra_columns", "optional", "slices", "trusted_types"}
    | {"gates", "drift", "retraining", "ablation", "refit", "approval", "pages", "owners", "description"}
    | {"workers"}
)
"""Fields that the fitted model does not depend on; a source may also hold a credential."""


def recipe_of(model: Declaration, searched: Mapping[str, Any], fitted: Any, rows: Mapping[str, Rows]) -> Recipe:
    """Return what `fitted` was made from; call it in the process that fitted it.

    searched: parameters that a search chose in place of `model.params`. rows: by role. Without a fitted model `machine`
    is empty: its libraries are not all loaded.
    """
    declared = {name: getattr(model, name) for name in Declaration.model_fields if name not in _NOT_FITTED}
    functions = {"features": model.features, "estimator": _own_estimator(model)}
    return Recipe(
        given=_texts(model.params),
        found=_texts(searched),
        fields={**_texts(declared), "outcomes": str(bool(model.outcomes))},
        code={name: code_of(function) for name, function in functions.items() if function is not None},
        packages=packages_of(fitted),
        machine={} if fitted is None else machine(),
        rows={role: f"{data_version(of.X)}-{data_version(of.y.to_frame())}" for role, of in rows.items()},
    )


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: text_of(value) for name, value in values.items()}


def _own_estimator(model: Declaration) -> Any:
    """Return the estimator if its source is the user's own; None for scikit-learn's, which its version identifies."""
    estimator = resolve(model.estimator) if isinstance(model.estimator, str) else model.estimator
    return None if (getattr(estimator, "__module__", None) or "").startswith("sklearn.") else estimator


def store_recipe(records: ModelRecords, recipe: Recipe) -> str:
    """Store a recipe and return the name by which the version refers to it."""
    records.of(RecordedRecipe).put(recipe.digest, RecordedRecipe(recipe.to_dict()))
    return recipe.digest


def stored_recipe(records: ModelRecords, version: ModelVersion) -> Recipe | None:
    """Return the recipe of a version; None if it was registered before recipes were kept.

    Raise `TrainingError` if the record is missing or was changed.
    """
    digest = version.tags.get(RECIPE_TAG)
    if digest is None:
        return None
    recorded = records.of(RecordedRecipe).sound(digest)
    if recorded is None or digest_of(recorded.recipe) != digest:
        fault = "is gone, so it is not known what to fit" if recorded is None else "was changed since it was written"
        raise TrainingError(
            f"the recipe of {version.model} version {version.version} (record recipes/{digest}) {fault}: restore the "
            "database of records"
        )
    return Recipe.from_dict(recorded.recipe)


@dataclass(frozen=True)
class RecordedRecipe:
    """A recipe as plain JSON; its digest is its key."""

    KIND: ClassVar[str] = "recipes"

    recipe: dict[str, Any]


def recipe_of_tags(model: Declaration, version: ModelVersion, registry: MlflowRegistry) -> Recipe:
    """Return a recipe from the tags and the MLflow parameters of a version that has none."""
    tags, texts = version.tags, {name: _as_written(text) for name, text in registry.params(version.run_id).items()}
    searched = (model.search.space if model.search else {}).keys() - model.params.keys()
    packages = dict(pair.split("==", 1) for pair in tags.get("packages", "").split(", ") if "==" in pair)
    packages |= {"python": tags.get("python", ""), "mlops-assets": tags.get("mlops_assets", "")}
    return Recipe(
        given={name: text for name, text in texts.items() if name not in searched},
        found={name: text for name, text in texts.items() if name in searched},
        fields={name: _as_written(tags[name]) for name in ("seed", "serialization") if name in tags},
        packages={name: text for name, text in packages.items() if text},
    )


def _as_written(text: str) -> str:
    """Return a value that `str` stored as Python writes it: a text gets its quotes back."""
    try:
        ast.literal_eval(text)
    except NO_LITERAL:
        return text if text in ("nan", "inf", "-inf") else repr(text)
    return text
