"""How a version is fitted again: by its recipe as far as it is available, else by the current declaration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlops_assets.assets.training.fit import decided_by
from mlops_assets.assets.training.recipe import recipe_of
from mlops_assets.declaration import Declaration
from mlops_assets.dotted import resolve
from mlops_assets.errors import TrainingError
from mlops_assets.lazy import sklearn
from mlops_assets.modelling.agreement import Difference, differences, refit
from mlops_assets.modelling.problem import problem_of
from mlops_assets.modelling.recipe import Recipe, restored, text_of
from mlops_assets.modelling.thresholds import ThresholdRule
from mlops_assets.records.rows import Rows

_RESTORED = ("target", "problem", "time", "key", "drop", "group", "known_at", "lookback", "where", "fleet")
_DECIDED = ("threshold", "calibrate", "metrics", "fleet")


@dataclass(frozen=True)
class Refitting:
    """A version by its recipe; `as_declared`: by the estimator, parameters and seed of the current declaration.

    Raises `TrainingError` if the recipe names something that only the code of that time can give.
    """

    model: Declaration
    recipe: Recipe
    as_declared: bool = False

    def recorded_model(self) -> Declaration:
        """Return the recorded declaration, as far as it says how rows are read."""
        fields = self._recorded(_RESTORED)
        if "outcomes" in self.recipe.fields:  # rows depend only on whether there was a source of labels
            had = self.recipe.fields["outcomes"] == "True"
            fields["outcomes"] = (self.model.outcomes or self.model.source) if had else None
        return self.model.model_copy(update={**fields, "slices": []})

    def fit(self, model: Declaration, rows: Rows) -> Any:
        """Fit again on these rows, which were read as `model` declares."""
        by = decided_by(self.model) if self.as_declared else ThresholdRule(**self._recorded(_DECIDED))
        params = self._estimator(), self.params(), self.searched()
        return refit(*params, rows.X, rows.y, problem_of(rows.y, model.problem), self._seed(), by)

    def params(self) -> dict[str, Any]:
        """Return the parameters that the estimator is built with."""
        if self.as_declared:
            return dict(self.model.params)
        return restored(self.recipe.given, {name: [value] for name, value in self.model.params.items()})

    def searched(self) -> dict[str, Any]:
        """Return the parameters that the search chose; with `as_declared`, only those that are still searched."""
        space = self.model.search.space if self.model.search else {}
        texts = {name: text for name, text in self.recipe.found.items() if name in space or not self.as_declared}
        return restored(texts, {name: values for name, values in space.items() if isinstance(values, Sequence)})

    def differences(self, fitted: Any = None, rows: Mapping[str, Rows] | None = None) -> list[Difference]:
        """Return all differences between recipe and present; `fitted` and `rows` as far as they are available."""
        current, note = recipe_of(self.model, {}, fitted, rows or {}), "another order, label or type"
        of_rows = [
            Difference(
                "data",
                role,
                then=recorded,
                now=digest,
                note=f"read from files that are unchanged: {note}",
                enters="fit",
            )
            for role, digest in current.rows.items()
            if (recorded := self.recipe.rows.get(role, digest)) != digest
        ]
        return [*differences(self.recipe, current, self.as_declared), *of_rows]

    def shown(self) -> dict[str, str]:
        """Return what the refit was made with, for people."""
        values = {"estimator": self._estimator(), "seed": self._seed(), **self.params(), **self.searched()}
        return {name: value if isinstance(value, str) else text_of(value) for name, value in values.items()}

    def _recorded(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the recorded fields of these names; a version older than a field does not have it."""
        texts = {name: self.recipe.fields[name] for name in names if name in self.recipe.fields}
        return restored(texts, {name: [getattr(self.model, name)] for name in texts})

    def _seed(self) -> int:
        return self.model.seed if self.as_declared else int(self.recipe.fields.get("seed", self.model.seed))

    def _estimator(self) -> Any:
        """Return the recorded estimator: a scikit-learn class by its name, or the user's current function or class.

        No other recorded name is imported: only a declaration names the code that runs.
        """

        current, recorded = self.model.estimator, self.recipe.fields.get("estimator")
        both_functions = callable(current) and not str(recorded).startswith("'")
        if self.as_declared or recorded in (None, text_of(current)) or both_functions:
            return current
        if _is_sklearn_estimator(name := str(recorded).strip("'")):
            return name
        raise TrainingError(
            f"the estimator was {recorded} and is {text_of(current)}: declare the former to fit the version again"
        )


def _is_sklearn_estimator(name: str) -> bool:
    if not name.startswith("sklearn."):
        return False
    named = resolve(name)
    return isinstance(named, type) and issubclass(named, sklearn.base.BaseEstimator)
