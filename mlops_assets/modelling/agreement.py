"""Whether a version, fitted again, predicts the same, and what differs from its first fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mlops_assets.errors import DeclarationError, TrainingError
from mlops_assets.lazy import np, pd, sklearn
from mlops_assets.modelling.fitting.estimators import build
from mlops_assets.modelling.fitting.parameter_names import full_names
from mlops_assets.modelling.fitting.search import fit
from mlops_assets.modelling.predictions import Predictions
from mlops_assets.modelling.problem import Problem
from mlops_assets.modelling.recipe import Recipe
from mlops_assets.modelling.thresholds import Decided
from mlops_assets.text import shown

Kind = Literal["data", "code", "package", "seed", "declaration", "artifact", "machine"]
Verdict = Literal["identical", "within tolerance", "differs"]
Enters = Literal["fit", "features", "both", "nothing"]

TOLERANCE = 1e-6
"""Of the spread of the predictions. Sums in another order, as with more threads, differ by 1e-16 to 1e-9 of it."""

UNEXPLAINED = (
    "not explained by what is recorded: another machine, threads (n_jobs), or an estimator that draws without the seed"
)
_NO_NUMBERS = ("mlflow", "dagster")  # packages that do not affect predictions
_KINDS: tuple[Kind, ...] = ("data", "code", "package", "seed", "declaration", "artifact", "machine")


@dataclass(frozen=True)
class Difference:
    """One difference between now and the fit of a version.

    `enters`: where the refit used the current value: in the fit, in the recomputed features, or in both. With "nothing"
    the refit used the recorded value, and no prediction differs because of it.
    """

    kind: Kind
    what: str
    then: str = ""
    now: str = ""
    note: str = ""
    enters: Enters = "both"

    @property
    def sentence(self) -> str:
        """The difference in one line, for a person."""
        change = f": {self.then or 'none'} then, {self.now or 'none'} now" if self.then or self.now else ""
        return f"{self.what}{change}{f' ({self.note})' if self.note else ''}"


@dataclass(frozen=True)
class Agreement:
    """How two models agree on the same rows. `spread` is that of the registered one's predictions, greatest less least.

    If labels are predicted without probabilities, the difference of two labels is infinite.
    """

    rows: int
    max_difference: float
    spread: float
    identical: bool

    @property
    def relative(self) -> float:
        """The greatest difference as a share of the spread."""
        return 0.0 if self.identical else self.max_difference / self.spread

    @property
    def verdict(self) -> Verdict:
        """The verdict; identical means bit for bit."""
        if self.identical:
            return "identical"
        return "within tolerance" if self.relative <= TOLERANCE else "differs"


@dataclass(frozen=True)
class Reproduction:
    """The result of fitting a version again.

    `agreements`: the refit against the registered model, by rows; empty if nothing could be compared. `anew`: the same
    if the features, computed again, differ too. `fitted_with`: parameters and seed.
    """

    model: str
    version: int
    agreements: Mapping[str, Agreement]
    anew: Mapping[str, Agreement]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = ()
    fitted_with: Mapping[str, str] | None = None
    anew_failed: bool = False

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of the comparisons; `differs` if nothing could be compared."""
        if not self.agreements or self.anew_failed:
            return "differs"
        return worst({**self.agreements, **{f"{rows}, anew": found for rows, found in self.anew.items()}})

    @property
    def because(self) -> tuple[Kind, ...]:
        """The kinds of differences that may explain the verdict `differs`, the likeliest first; else empty."""
        if self.verdict != "differs":
            return ()
        causes = {difference.kind for difference in self._causes}
        return tuple(kind for kind in _KINDS if kind in causes)

    @property
    def reason(self) -> str:
        """The verdict in one line, with the differences that may explain it."""
        found = [*self.agreements.values(), *self.anew.values()]
        if self.verdict == "identical":
            return f"identical on {_rows(self.agreements)} rows, bit for bit"
        if self.verdict == "within tolerance":
            return f"differs by at most {max(each.relative for each in found):.1e} of the spread of the predictions"
        if not self.because:
            return f"differs: {UNEXPLAINED if self.agreements else '; '.join(self.notes)}"
        whys = [each.sentence for each in self._causes]
        more = f"; and {len(whys) - 3} more" if len(whys) > 3 else ""
        return f"differs because of {', '.join(self.because)}: {'; '.join(whys[:3])}{more}"

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain JSON; infinite values as null."""
        return {
            "model": self.model,
            "version": self.version,
            "verdict": self.verdict,
            "because": list(self.because),
            "reason": self.reason,
            "differences": [asdict(each) for each in self.differences],
            "predictions": {rows: _plain(found) for rows, found in self.agreements.items()},
            "predictions_of_features_computed_anew": {rows: _plain(found) for rows, found in self.anew.items()},
            "fitted_with": None if self.fitted_with is None else dict(self.fitted_with),
            "notes": list(self.notes),
        }

    @property
    def _causes(self) -> list[Difference]:
        """The differences that may be the cause; only features, if the stored ones give the same model again."""
        fits = bool(self.agreements) and worst(self.agreements) != "differs"
        of_features = [each for each in self.differences if each.enters == "features"]
        if fits and of_features:
            return of_features
        came_out_otherwise = self.anew_failed or bool(self.anew)
        enter = {"both"} | (set() if fits else {"fit"}) | ({"features"} if came_out_otherwise else set())
        return [each for each in self.differences if each.enters in enter]


def worst(agreements: Mapping[str, Agreement]) -> Verdict:
    """Return the worst verdict of all."""
    verdicts = {found.verdict for found in agreements.values()}
    order: tuple[Verdict, ...] = ("differs", "within tolerance", "identical")
    return next((verdict for verdict in order if verdict in verdicts), "identical")


def agreement(registered: Predictions, refitted: Predictions) -> Agreement:
    """Compare two models' predictions of the same n rows: probabilities if there are some, else values."""
    one, other = (found.value if found.probability is None else found.probability for found in (registered, refitted))
    rows = len(registered.value)
    if one.shape != other.shape or not _same_classes(registered.classes, refitted.classes):
        return Agreement(rows, float("inf"), 1.0, False)
    if one.dtype.kind not in "fiub" or other.dtype.kind not in "fiub":
        same = bool((one == other).all())
        return Agreement(rows, 0.0 if same else float("inf"), 1.0, same)
    one, other = (np.ascontiguousarray(values, dtype=np.float64) for values in (one, other))
    with np.errstate(invalid="ignore"):
        apart = np.where((one == other) | (np.isnan(one) & np.isnan(other)), 0.0, np.abs(one - other))
    greatest = float(np.nan_to_num(apart, nan=np.inf, posinf=np.inf).max(initial=0.0))
    finite = one[np.isfinite(one)]
    spread = float(np.ptp(finite)) if finite.size else 0.0
    scale = spread or float(np.abs(finite).max(initial=0.0)) or 1.0
    return Agreement(rows, greatest, scale, one.tobytes() == other.tobytes())


def differences(then: Recipe, now: Recipe, as_declared: bool = False) -> tuple[Difference, ...]:
    """Return all differences between two recipes; fields that one of them lacks are left out.

    as_declared: whether the refit uses the current declaration, and not the recorded one.
    """
    found = [*_code(then, now), *_packages(then, now)]
    for name in sorted(then.fields.keys() & now.fields.keys()):
        if then.fields[name] != now.fields[name]:
            found.append(_field(name, then.fields[name], now.fields[name], as_declared))
    for name in sorted({*then.given, *now.given}):
        one, other = then.given.get(name, ""), now.given.get(name, "")
        if one != other:
            found.append(_declared("declaration", f"parameter {name}", one, other, as_declared))
    for name in then.machine.keys() & now.machine.keys():
        if then.machine[name] != now.machine[name]:
            found.append(Difference("machine", name, then.machine[name], now.machine[name]))
    return tuple(found)


def refit(
    estimator: str | Callable[..., Any],
    given: Mapping[str, Any],
    found: Mapping[str, Any],
    X: pd.DataFrame,
    y: pd.Series,
    problem: Problem,
    seed: int,
    by: Decided | None = None,
) -> Any:
    """Fit with the parameters that a search chose, as the search itself does at its end; nothing is searched."""
    pipeline = build(estimator, given, X, problem, seed, y, by)
    if found:
        try:
            pipeline = sklearn.base.clone(pipeline).set_params(**full_names(found, pipeline))
        except (DeclarationError, ValueError) as error:
            raise TrainingError(
                f"the estimator takes no parameters {shown(found)} any more, which the search found then: {error}"
            ) from None
    return fit(pipeline, X, y)


def _code(then: Recipe, now: Recipe) -> Iterator[Difference]:
    for name, parts in then.code.items():
        present = now.code.get(name, {})
        if not present:
            continue  # another declaration, which the fields show
        enters: Enters = "features" if name == "features" else "fit"
        for part in sorted({*parts, *present}):
            if part not in present:
                yield Difference("code", f"{name}: {part}", note="not used any more", enters=enters)
            elif part not in parts:
                yield Difference("code", f"{name}: {part}", note="not used then", enters=enters)
            elif parts[part] != present[part]:
                yield Difference("code", f"{name}: {part}", note="changed since", enters=enters)


def _packages(then: Recipe, now: Recipe) -> Iterator[Difference]:
    for name, version in then.packages.items():
        present = now.packages.get(name, "not installed")
        if present != version:
            yield Difference("package", name, version, present, enters="nothing" if name in _NO_NUMBERS else "both")


def _field(name: str, then: str, now: str, as_declared: bool) -> Difference:
    if name == "features":
        return Difference("code", name, then, now, enters="features")
    if name == "seed":
        return _declared("seed", name, then, now, as_declared)
    by_now = as_declared or not then.startswith("'sklearn.")  # outside sklearn, only a declaration may name what is run
    return _declared("declaration", name, then, now, name == "estimator" and by_now)


def _declared(kind: Kind, what: str, then: str, now: str, used: bool) -> Difference:
    if used:
        return Difference(kind, what, then, now, enters="fit")
    return Difference(kind, what, then, now, "the refit went by that of then", enters="nothing")


def _same_classes(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.array_equal(one, other))


def _rows(agreements: Mapping[str, Agreement]) -> str:
    return " and ".join(f"{found.rows:,} {rows}" for rows, found in agreements.items())


def _plain(found: Agreement) -> dict[str, Any]:
    finite = np.isfinite(found.max_difference)
    return {
        "rows": found.rows,
        "verdict": found.verdict,
        "identical": found.identical,
        "max_difference": found.max_difference if finite else None,
        "relative_difference": found.relative if finite else None,
        "spread": found.spread,
    }
