"""Whether a version, fitted again, predicts the same, and what differs from its first fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, asdict, dataclass
from typing import Any, Literal

from mlops_assets.errors import DeclarationError, TrainingError
from mlops_assets.lazy import np, pd, sklearn
from mlops_assets.modelling.fitting.estimators import build
from mlops_assets.modelling.fitting.parameter_names import full_names
from mlops_assets.modelling.fitting.search import fit
from mlops_assets.modelling.predictions import Predictions
from mlops_assets.modelling.problem import Problem
from mlops_assets.modelling.recipe import Recipe
from mlops_assets.modelling.thresholds import ThresholdRule
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
    _: KW_ONLY
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


@dataclass(frozen=True, kw_only=True)
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
        return worst([*self.agreements.values(), *self.anew.values()])

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
        if self.verdict == "identical":
            rows = " and ".join(f"{agreement.rows:,} {role}" for role, agreement in self.agreements.items())
            return f"identical on {rows.removesuffix(' rows')} rows, bit for bit"
        if self.verdict == "within tolerance":
            greatest = max(agreement.relative for agreement in [*self.agreements.values(), *self.anew.values()])
            return f"differs by at most {greatest:.1e} of the spread of the predictions"
        if not self.because:
            return f"differs: {UNEXPLAINED if self.agreements else '; '.join(self.notes)}"
        whys = [difference.sentence for difference in self._causes]
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
            "differences": [asdict(difference) for difference in self.differences],
            "predictions": {role: _plain(agreement) for role, agreement in self.agreements.items()},
            "predictions_of_features_computed_anew": {role: _plain(agreement) for role, agreement in self.anew.items()},
            "fitted_with": None if self.fitted_with is None else dict(self.fitted_with),
            "notes": list(self.notes),
        }

    @property
    def _causes(self) -> list[Difference]:
        """The differences that may be the cause; only features, if the stored ones give the same model again."""
        fits = bool(self.agreements) and worst(self.agreements.values()) != "differs"
        of_features = [difference for difference in self.differences if difference.enters == "features"]
        if fits and of_features:
            return of_features
        features_differ = self.anew_failed or bool(self.anew)
        enter = {"both"} | (set() if fits else {"fit"}) | ({"features"} if features_differ else set())
        return [difference for difference in self.differences if difference.enters in enter]


def worst(agreements: Iterable[Agreement]) -> Verdict:
    """Return the worst verdict of all."""
    verdicts = {agreement.verdict for agreement in agreements}
    order: tuple[Verdict, ...] = ("differs", "within tolerance", "identical")
    return next((verdict for verdict in order if verdict in verdicts), "identical")


def agreement(registered: Predictions, refitted: Predictions) -> Agreement:
    """Compare two models' predictions of the same n rows: probabilities if there are some, else values."""
    one, other = (model.value if model.probability is None else model.probability for model in (registered, refitted))
    rows = len(registered.value)
    if one.shape != other.shape or not np.array_equal(np.asarray(registered.classes), np.asarray(refitted.classes)):
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
    result = [*_code(then, now), *_packages(then, now)]
    for name in sorted(then.fields.keys() & now.fields.keys()):
        if then.fields[name] != now.fields[name]:
            result.append(_field(name, then.fields[name], now.fields[name], as_declared))
    for name in sorted({*then.given, *now.given}):
        one, other = then.given.get(name, ""), now.given.get(name, "")
        if one != other:
            result.append(_declared("declaration", f"parameter {name}", one, other, as_declared))
    for name in sorted(then.machine.keys() & now.machine.keys()):
        if then.machine[name] != now.machine[name]:
            result.append(Difference("machine", name, then=then.machine[name], now=now.machine[name]))
    return tuple(result)


def refit(
    estimator: str | Callable[..., Any],
    params: Mapping[str, Any],
    searched: Mapping[str, Any],
    X: pd.DataFrame,
    y: pd.Series,
    problem: Problem,
    seed: int,
    rule: ThresholdRule | None = None,
) -> Any:
    """Fit with the parameters that a search chose, as the search itself does at its end; nothing is searched."""
    pipeline = build(estimator, params, X, problem, seed, y, rule)
    if searched:
        try:
            pipeline = sklearn.base.clone(pipeline).set_params(**full_names(searched, pipeline))
        except (DeclarationError, ValueError) as error:
            raise TrainingError(
                f"the estimator no longer takes the parameters {shown(searched)}, which the search chose: {error}"
            ) from None
    return fit(pipeline, X, y)


def _code(then: Recipe, now: Recipe) -> Iterator[Difference]:
    for name, recorded in then.code.items():
        current = now.code.get(name)
        if not current:
            continue  # another declaration, which the fields show
        enters: Enters = "features" if name == "features" else "fit"
        for part in sorted({*recorded, *current}):
            if recorded.get(part) != current.get(part):
                gone, new = part not in current, part not in recorded
                note = "not used any more" if gone else "not used then" if new else "changed since"
                yield Difference("code", f"{name}: {part}", note=note, enters=enters)


def _packages(then: Recipe, now: Recipe) -> Iterator[Difference]:
    for name, version in then.packages.items():
        current = now.packages.get(name, "not installed")
        if current != version:
            yield Difference(
                "package", name, then=version, now=current, enters="nothing" if name in _NO_NUMBERS else "both"
            )


def _field(name: str, then: str, now: str, as_declared: bool) -> Difference:
    if name == "features":
        return Difference("code", name, then=then, now=now, enters="features")
    if name == "seed":
        return _declared("seed", name, then, now, as_declared)
    by_now = as_declared or not then.startswith("'sklearn.")  # outside sklearn, only a declaration may name what is run
    return _declared("declaration", name, then, now, name == "estimator" and by_now)


def _declared(kind: Kind, what: str, then: str, now: str, used: bool) -> Difference:
    if used:
        return Difference(kind, what, then=then, now=now, enters="fit")
    return Difference(kind, what, then=then, now=now, note="the refit used the recorded value", enters="nothing")


def _plain(agreement: Agreement) -> dict[str, Any]:
    finite = np.isfinite(agreement.max_difference)
    return {
        "rows": agreement.rows,
        "verdict": agreement.verdict,
        "identical": agreement.identical,
        "max_difference": agreement.max_difference if finite else None,
        "relative_difference": agreement.relative if finite else None,
        "spread": agreement.spread,
    }
