"""What must not get worse when the deciding metric gets better: other metrics, and the metric on slices of the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from mlops_assets.decisions.promotion.comparison import Verdict
from mlops_assets.decisions.promotion.paired_difference import NoDifference, PairedDifference, paired_difference
from mlops_assets.decisions.promotion.rivals import Rivals
from mlops_assets.lazy import np
from mlops_assets.modelling.engine import HERE, Engine
from mlops_assets.modelling.metrics import Metric
from mlops_assets.modelling.predictions import Predictions
from mlops_assets.statistics import students_t
from mlops_assets.statistics.holm import holm_adjustment

MIN_SLICE_ROWS = 30
_RESAMPLES_OF_SCORERS = 100
_NAN = float("nan")


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Whether the challenger is worse than the champion in one respect.

    `champion` and `challenger` are the metric on these rows; `effect` is the improvement, positive is better. `p` is
    one-sided for "worse by more than the tolerance", `p_adjusted` the same after correction for all guards. Figures are
    NaN if unknown.
    """

    name: str
    rows: int
    champion: float = _NAN
    challenger: float = _NAN
    effect: float = _NAN
    p: float = _NAN
    p_adjusted: float = _NAN
    verdict: Literal["worse", "not worse", "too few rows"]
    note: str


def guards(
    y: Any,
    champion: Predictions,
    challenger: Predictions,
    metrics: Sequence[tuple[Metric, float]],
    slices: Mapping[str, Any],
    slice_metric: Metric,
    slice_tolerance: float = 0.0,
    alpha: float = 0.05,
    resamples: int = 1_000,
    seed: int = 0,
    groups: Any = None,
    *,
    engine: Engine = HERE,
) -> tuple[Guard, ...]:
    """Test n rows, in order of time, for a worse challenger; return a `Guard` for each metric, then each slice.

    metrics: each with the tolerated loss in its own units. slices: row positions for each name, in order, judged by
        `slice_metric`. groups, engine: as in `compare`.

    Student's t on the effect with the standard error that `compare` uses, so that p can be as small as many slices
    require. Holm (1979) corrects all guards that can be tested; "worse" means that the adjusted p is below `alpha`. A
    slice of fewer than 30 rows, or one that cannot be compared, is "too few rows"; its note says why. A metric that is
    undefined for the challenger only is worse, with p 0.
    """
    rivals = Rivals.of(y, champion, challenger, groups)
    tested = [_guard(metric.name, metric, tolerance, rivals, resamples, seed, engine) for metric, tolerance in metrics]
    for name, rows in slices.items():
        of_slice, label = rivals.take(np.asarray(rows)), f"{slice_metric.name} of {name}"
        tested.append(_guard(label, slice_metric, slice_tolerance, of_slice, resamples, seed, engine))
    adjusted = holm_adjustment(np.array([guard.p for guard in tested]))
    return tuple(_judge(guard, p, alpha) for guard, p in zip(tested, adjusted.tolist(), strict=True))


def apply_guards(verdict: Verdict, guards: Sequence[Guard]) -> Verdict:
    """Return the verdict with its evidence; a promotion becomes `keep` if a guard is worse, with the reason."""
    worse = [f"{guard.name} ({guard.note})" for guard in guards if guard.verdict == "worse"]
    if verdict.verdict != "promote" or not worse:
        return verdict
    listed = ", ".join(worse[:5]) + (f" and {len(worse) - 5} more" if len(worse) > 5 else "")
    return replace(verdict, verdict="keep", reason=f"got worse: {listed}. Otherwise: {verdict.reason}")


def _guard(
    name: str, metric: Metric, tolerance: float, rivals: Rivals, resamples: int, seed: int, engine: Engine
) -> Guard:
    rows = len(rivals.labels)
    few = f"{rows} rows are too few; at least {MIN_SLICE_ROWS} are needed"
    guard = Guard(name=name, rows=rows, verdict="too few rows", note=few)
    if rows < MIN_SLICE_ROWS:
        return guard
    if metric.row_statistics is None and metric.reweighted is None:  # a scorer of sklearn: only the spread is used
        resamples = min(resamples, _RESAMPLES_OF_SCORERS)
    difference = paired_difference(rivals, metric, resamples, seed, engine)
    before, after = (float(score) for score in rivals.apply(metric.function))
    guard = replace(guard, champion=before, challenger=after)
    if np.isfinite(before) and not np.isfinite(after):
        return replace(guard, p=0.0, verdict="not worse", note=f"{before:.4g} became {after}")
    if isinstance(difference, NoDifference):
        return replace(guard, note=difference.reason)
    end = f", tolerated {tolerance:.4g}" if tolerance else ""
    note = f"{before:.4g} became {after:.4g} on {rows:,} rows{end}"
    p = _worse_by_chance(difference, tolerance)
    return replace(guard, effect=difference.effect, p=p, verdict="not worse", note=note)


def _worse_by_chance(difference: PairedDifference, tolerance: float) -> float:
    """Return the probability of an effect this low if the challenger is worse by the tolerance at most."""
    distance = -(difference.effect + tolerance)
    if difference.se == 0.0:
        return 0.0 if distance > 0 else 1.0
    p = students_t.tail(distance / difference.se, difference.freedom)
    if not difference.paired > 0.0:
        return p
    return max(p, students_t.tail(distance / difference.paired, difference.paired_freedom))


def _judge(guard: Guard, p_adjusted: float, alpha: float) -> Guard:
    guard = replace(guard, p_adjusted=p_adjusted)
    if not p_adjusted < alpha:  # NaN for too few rows
        return guard
    return replace(guard, verdict="worse", note=f"{guard.note}, p {p_adjusted:.2g}")
