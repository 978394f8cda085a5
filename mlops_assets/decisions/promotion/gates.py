"""The limits that a version must keep to become champion; a figure that is not finite never passes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlops_assets.checks import CheckOutcome
from mlops_assets.decisions.promotion.leakage import telling_features
from mlops_assets.lazy import np, pd

SAME_WITHIN = 1e-9
_NEGLIGIBLE = 0.01
OF_THE_MOMENT = ("latency",)
"""Gates that measure the machine as well as the version. If only these fail, they are measured again."""


def loads_back(max_abs_difference: float, rows: int) -> CheckOutcome:
    """Check that the loaded model predicts what the fitted one predicted, to 1e-9, on at least one row."""
    if rows < 1:
        return _outcome("loads_back", False, "no row was predicted; expected the holdout", {"rows": rows})
    passed = math.isfinite(max_abs_difference) and abs(max_abs_difference) <= SAME_WITHIN
    if passed:
        message = f"the loaded model predicts the same on {rows:,} rows"
    else:
        message = (
            f"the loaded model predicts differently (by {max_abs_difference:.3g} over {rows:,} rows; expected at most "
            f"{SAME_WITHIN:g}): what is registered is not what was fitted. Train again"
        )
    return _outcome("loads_back", passed, message, {"max_abs_difference": _plain(max_abs_difference), "rows": rows})


def latency(
    per_row_ms: float, per_1000_ms: float, max_per_row_ms: float | None = None, max_per_1000_ms: float | None = None
) -> CheckOutcome:
    """Check the milliseconds of processor time that 1 row and 1,000 rows take against limits; None sets no limit."""
    problems = []
    for what, found, most in (("1 row", per_row_ms, max_per_row_ms), ("1,000 rows", per_1000_ms, max_per_1000_ms)):
        if not math.isfinite(found):
            problems.append(f"{what}: not measured ({found})")
        elif most is not None and not found <= most:
            problems.append(f"{what}: {found:.1f} ms; expected at most {most:g} ms")
    good = f"1 row in {per_row_ms:.1f} ms, 1,000 rows in {per_1000_ms:.1f} ms"
    return _outcome(
        "latency",
        not problems,
        "; ".join(problems) or good,
        {"per_row_ms": _plain(per_row_ms), "per_1000_rows_ms": _plain(per_1000_ms)},
    )


def size(stored_bytes: int, max_mb: float) -> CheckOutcome:
    """Check that the stored files of a model take at most `max_mb` megabytes (of 1,000,000 bytes)."""
    megabytes = stored_bytes / 1e6
    small = megabytes <= max_mb
    message = f"{megabytes:.3g} MB" if small else f"{megabytes:.3g} MB; expected at most {max_mb:g} MB"
    return _outcome("size", small, message, {"megabytes": megabytes})


def beats_baseline(
    challenger_score: float,
    baseline_scores: Mapping[str, float],
    required: Sequence[str],
    metric_name: str,
    greater_is_better: bool,
) -> CheckOutcome:
    """Check that the metric is strictly better than the metric of each required baseline."""
    problems = [] if math.isfinite(challenger_score) else [f"{metric_name} is {challenger_score}"]
    for name in required:
        score = baseline_scores.get(name, float("nan"))
        if not math.isfinite(score):
            problems.append(f"baseline {name!r:.80} has no {metric_name}")
        elif math.isfinite(challenger_score):
            better = challenger_score > score if greater_is_better else challenger_score < score
            if not better:
                problems.append(f"{metric_name} {challenger_score:.4g} is no better than {score:.4g} of {name!r:.80}")
    beaten = ", ".join(f"{name} {baseline_scores[name]:.4g}" for name in required if name in baseline_scores)
    good = f"{metric_name} {challenger_score:.4g} is better than {beaten}" if beaten else "no baseline is required"
    table = [{"who": "challenger", metric_name: _plain(challenger_score)}]
    table += [{"who": name, metric_name: _plain(score)} for name, score in baseline_scores.items()]
    return _outcome("beats_baseline", not problems, "; ".join(problems) or good, {"scores": table})


def quality(scores: Mapping[str, float], minimum: Mapping[str, float], maximum: Mapping[str, float]) -> CheckOutcome:
    """Check that all scores are finite and within their bounds, inclusive; a missing score fails."""
    problems = [f"{name} is {score}" for name, score in scores.items() if not math.isfinite(score)]
    for bounds, word, kept in ((minimum, "at least", np.greater_equal), (maximum, "at most", np.less_equal)):
        for name, bound in bounds.items():
            if name not in scores:
                problems.append(f"{name} was not measured; expected {word} {bound:g}")
            elif math.isfinite(scores[name]) and not kept(scores[name], bound):
                problems.append(f"{name} is {scores[name]:.4g}; expected {word} {bound:g}")
    if not scores:
        problems.append("no metric was measured")
    good = ", ".join(f"{name} {score:.4g}" for name, score in scores.items())
    return _outcome(
        "quality", not problems, "; ".join(problems) or good, {name: _plain(score) for name, score in scores.items()}
    )


def leakage(
    X: pd.DataFrame, y: pd.Series, problem: str, max_auc: float = 0.999, max_r2: float = 0.9999
) -> CheckOutcome:
    """Check that no single feature determines the target almost perfectly; see `telling_features`."""
    found = telling_features(X, y, problem, max_auc, max_r2)
    worst = [f"{each.feature!r:.80} ({each.measure} {each.score:.5f}, expected below {each.limit:g})" for each in found]
    message = (
        f"{', '.join(worst[:5])} tells the target: it may hold the answer. Leave it out, or take it as it was "
        "known at the time of the prediction"
    )
    table = [{"feature": each.feature, "measure": each.measure, "score": each.score} for each in found]
    good = f"none of {X.shape[1]} features, and no sum of them, tells the target"
    return _outcome("no_leakage", not found, message if found else good, {"suspicious": table})


def agrees(apart: float, error: float, spread: float, rows: int) -> CheckOutcome:
    """Check that a refit is no farther from the judged version than the judged version is from the holdout's labels.

    All are root mean squares over the rows, see `Distances`. The refit is trained on these rows, which draws it towards
    their labels. Within this bound its own error is at most twice the error of the judged version. A hundredth of the
    spread of the labels is always allowed, since a judged version may be almost perfect.
    """
    limit = max(error, _NEGLIGIBLE * spread)
    passed = rows > 0 and math.isfinite(apart) and math.isfinite(limit) and apart <= limit
    message = (
        f"the refit is {apart:.3g} from the judged version on {rows:,} holdout rows, whose own error is {error:.3g}"
    )
    if not passed:
        message += f"; expected at most {limit:.3g}"
    return _outcome("agrees", passed, message, {"apart": _plain(apart), "limit": _plain(limit), "rows": rows})


def only_of_the_moment(outcomes: Iterable[CheckOutcome]) -> bool:
    """Return whether something blocks, and only measures of the machine do, which a new attempt may pass."""
    stopped = [outcome.name for outcome in outcomes if outcome.stops]
    return bool(stopped) and all(name in OF_THE_MOMENT for name in stopped)


def all_pass(required: Iterable[str], outcomes: Iterable[CheckOutcome]) -> CheckOutcome:
    """Combine all gates: each required gate is present and passed, and no other blocks. Without any gate it fails."""
    names, given = list(required), list(outcomes)
    seen = {outcome.name for outcome in given}
    problems = [f"{name}: was not evaluated" for name in names if name not in seen]
    failed = [each for each in given if not each.passed and (each.name in names or each.stops)]
    problems += [f"{each.name}: {each.message}" for each in failed]
    if not names:
        problems.append("no gate is required: nothing has been shown")
    table = [{"gate": each.name, "passed": each.passed, "result": each.message} for each in given]
    return _outcome(
        "all_gates", not problems, "; ".join(problems) or f"all {len(names)} gates passed", {"gates": table}
    )


def _outcome(name: str, passed: bool, message: str, metadata: dict[str, Any]) -> CheckOutcome:
    return CheckOutcome(name, passed, message, metadata=metadata)


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
