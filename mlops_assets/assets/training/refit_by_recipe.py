"""How a version is fitted again: by its recipe as far as it is available, else by the current declaration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_assets.assets.training.fit import decided_by
from mlops_assets.assets.training.recipe import recipe_of
from mlops_assets.declaration import Declaration
from mlops_assets.dotted import resolve
from mlops_assets.errors import TrainingError
from mlops_assets.modelling.problem import problem_of
from mlops_assets.modelling.recipe import Recipe, restored, text_of
from mlops_assets.modelling.thresholds import ThresholdRule
from mlops_assets.records.rows import Rows

if TYPE_CHECKING:
    from mlops_assets.modelling.agreement import Difference

_RESTORED = ("target", "problem", "time", "key", "drop", "group", "known_at", "lookback", "where")
_DECIDED = ("threshold", "calibrate", "metrics")


@dataclass(frozen=True)
class Refitting:
    """A version by its recipe; `as_declared`: by the estimator, parameters and seed of the current declaration.

    Raises `TrainingError` if the recipe names something that only the code of that time can give.
    """

    model: Declaration
    recipe: "Recipe"
    as_declared: bool

    def then(self) -> Declaration:
        """Return the recorded declaration, as far as it says how rows are read."""

        texts = {name: self.recipe.fields[name] for name in _RESTORED if name in self.recipe.fields}
        fields = restored(texts, {name: [getattr(self.model, name)] for name in texts})
        if "outcomes" in self.recipe.fields:  # rows depend only on whether there was a source of labels
            had = self.recipe.fields["outcomes"] == "True"
            fields["outcomes"] = (self.model.outcomes or self.model.source) if had else None
        return self.model.model_copy(update={**fields, "slices": []})

    def fit(self, then: Declaration, rows: Rows) -> Any:
        """Fit the model again, on these rows."""
        from mlops_assets.modelling.agreement import refit

        problem = problem_of(rows.y, then.problem)
        given = self._estimator(), self.given(), self.found()
        return refit(*given, rows.X, rows.y, problem, self._seed(), self._decided())

    def _decided(self) -> "ThresholdRule":
        """Return the recorded threshold and calibration; versions older than these fields have neither."""

        if self.as_declared:
            return decided_by(self.model)
        texts = {name: self.recipe.fields[name] for name in _DECIDED if name in self.recipe.fields}
        return ThresholdRule(**restored(texts, {name: [getattr(self.model, name)] for name in texts}))

    def given(self) -> dict[str, Any]:
        """Return the parameters that the estimator is built with."""

        if self.as_declared:
            return dict(self.model.params)
        return restored(self.recipe.given, {name: [value] for name, value in self.model.params.items()})

    def found(self) -> dict[str, Any]:
        """Return the parameters that the search found; with `as_declared`, only those that are still searched."""

        space = self.model.search.space if self.model.search else {}
        known = {name: values for name, values in space.items() if isinstance(values, Sequence)}
        texts = self.recipe.found
        if self.as_declared:
            texts = {name: text for name, text in texts.items() if name in space}
        return restored(texts, known)

    def differences(self, fitted: Any = None, rows: Mapping[str, Rows] | None = None) -> "list[Difference]":
        """Return all differences between recipe and present; `fitted` and `rows` as far as they are available."""
        from mlops_assets.modelling.agreement import Difference, differences

        now = recipe_of(self.model, self.model.params, {}, fitted, rows or {})
        found = list(differences(self.recipe, now, self.as_declared))
        for role, digest in now.rows.items():
            then = self.recipe.rows.get(role, digest)
            if then != digest:
                note = "read from files that are unchanged: another order, label or type"
                found.append(Difference("data", role, then, digest, note, "fit"))
        return found

    def shown(self) -> dict[str, str]:
        """Return what the refit was made with, for people."""

        params = {**self.given(), **self.found()}
        shown = {"estimator": self._estimator(), "seed": self._seed(), **params}
        return {name: value if isinstance(value, str) else text_of(value) for name, value in shown.items()}

    def _seed(self) -> int:
        return self.model.seed if self.as_declared else int(self.recipe.fields.get("seed", self.model.seed))

    def _estimator(self) -> Any:
        """Return the recorded estimator: a scikit-learn class by its name, or the user's current function or class.

        No other recorded name is imported: only a declaration names the code that runs.
        """

        now, then = self.model.estimator, self.recipe.fields.get("estimator")
        if self.as_declared or then in (None, text_of(now)) or (callable(now) and not str(then).startswith("'")):
            return now
        if _is_of_sklearn(name := str(then).strip("'")):
            return name
        raise TrainingError(
            f"the estimator was {then} and is {text_of(now)}: declare the former to fit the version again"
        )


def _is_of_sklearn(name: str) -> bool:
    from sklearn.base import BaseEstimator

    if not name.startswith("sklearn."):
        return False
    found = resolve(name)
    return isinstance(found, type) and issubclass(found, BaseEstimator)
