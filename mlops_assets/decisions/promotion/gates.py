"""The limits that a version must keep to become champion; a figure that is not finite never passes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlops_assets.checks import CheckOutcome
from mlops_assets.decisions.promotion.leakage import telling_features
from mlops_assets.lazy import np, pd

_NEGLIGIBLE = 0.01
OF_THE_MOMENT = ("latency",)
"""Gates that measure the machine as well as the version. If only these fail, they are measured again."""


def loads_back(same: bool, rows: int) -> CheckOutcome:
    """Check that the loaded model predicts what the fitted one predicted, on at least one row."""
    problems = [] if rows else ["no row was predicted; expected the holdout"]
    if rows and not same:
        problems.append(
            f"the loaded model predicts differently on {rows:,} rows: what is registered is not what was fitted. "
            "Train again"
        )
    return _outcome("loads_back", problems, f"the loaded model predicts the same on {rows:,} rows", {"rows": rows})


def latency(
    per_row_ms: float, per_1000_ms: float, max_per_row_ms: float | None = None, max_per_1000_ms: float | None = None
) -> CheckOutcome:
    """Check the milliseconds of processor time that 1 row and 1,000 rows take against limits; None sets no limit."""
    problems = []
    for what, taken, limit in (("1 row", per_row_ms, max_per_row_ms), ("1,000 rows", per_1000_ms, max_per_1000_ms)):
        if not math.isfinite(taken):
            problems.append(f"{what}: not measured ({taken})")
        elif limit is not None and not taken <= limit:
            problems.append(f"{what}: {taken:.1f} ms; expected at most {limit:g} ms")
    good = f"1 row in {per_row_ms:.1f} ms, 1,000 rows in {per_1000_ms:.1f} ms"
    figures = {"per_row_ms": _plain(per_row_ms), "per_1000_rows_ms": _plain(per_1000_ms)}
    return _outcome("latency", problems, good, figures)


def size(stored_bytes: int, max_mb: float) -> CheckOutcome:
    """Check that the stored files of a model take at most `max_mb` megabytes (of 1,000,000 bytes)."""
    megabytes = stored_bytes / 1e6
    message = f"{megabytes:.3g} MB"
    problems = [] if megabytes <= max_mb else [f"{message}; expected at most {max_mb:g} MB"]
    return _outcome("size", problems, message, {"megabytes": megabytes})


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
        better = challenger_score > score if greater_is_better else challenger_score < score
        if not math.isfinite(score):
            problems.append(f"baseline {name!r:.80} has no {metric_name}")
        elif math.isfinite(challenger_score) and not better:
            problems.append(f"{metric_name} {challenger_score:.4g} is no better than {score:.4g} of {name!r:.80}")
    beaten = ", ".join(f"{name} {baseline_scores[name]:.4g}" for name in required if name in baseline_scores)
    good = f"{metric_name} {challenger_score:.4g} is better than {beaten}" if beaten else "no baseline is required"
    scores = {"challenger": challenger_score, **baseline_scores}
    table = [{"who": name, metric_name: _plain(score)} for name, score in scores.items()]
    return _outcome("beats_baseline", problems, good, {"scores": table})


def quality(scores: Mapping[str, float], minimum: Mapping[str, float], maximum: Mapping[str, float]) -> CheckOutcome:
    """Check that all scores are finite and within their bounds, inclusive; a missing score fails."""
    problems = [f"{name} is {score}" for name, score in scores.items() if not math.isfinite(score)]
    for bounds, word, within in ((minimum, "at least", np.greater_equal), (maximum, "at most", np.less_equal)):
        for name, bound in bounds.items():
            if name not in scores:
                problems.append(f"{name} was not measured; expected {word} {bound:g}")
            elif math.isfinite(scores[name]) and not within(scores[name], bound):
                problems.append(f"{name} is {scores[name]:.4g}; expected {word} {bound:g}")
    if not scores:
        problems.append("no metric was measured")
    good = ", ".join(f"{name} {score:.4g}" for name, score in scores.items())
    return _outcome("quality", problems, good, {name: _plain(score) for name, score in scores.items()})


def leakage(X: pd.DataFrame, y: pd.Series, problem: str) -> CheckOutcome:
    """Check that no single feature determines the target almost perfectly; see `telling_features`."""
    suspicions = telling_features(X, y, problem)
    worst = [f"{one.feature!r:.80} ({one.measure} {one.score:.5f}, expected below {one.limit:g})" for one in suspicions]
    message = (
        f"{', '.join(worst[:5])} determines the target: it may hold the answer. Leave it out, or take it as it was "
        "known at the time of the prediction"
    )
    good = f"no feature of {X.shape[1]}, and no sum of them, determines the target"
    table = [{"feature": one.feature, "measure": one.measure, "score": one.score} for one in suspicions]
    return _outcome("no_leakage", [message] if suspicions else [], good, {"suspicious": table})


def agrees(apart: float, error: float, spread: float, rows: int) -> CheckOutcome:
    """Check that a refit is no farther from the judged version than the judged version is from the holdout's labels.

    All are root mean squares over the rows, see `Distances`. The refit is trained on these rows, which draws it towards
    their labels. Within this bound its own error is at most twice the error of the judged version. A hundredth of the
    spread of the labels is always allowed, since a judged version may be almost perfect.
    """
    limit = max(error, _NEGLIGIBLE * spread)
    good = f"the refit is {apart:.3g} from the judged version on {rows:,} holdout rows, whose own error is {error:.3g}"
    passed = rows > 0 and math.isfinite(apart) and math.isfinite(limit) and apart <= limit
    problems = [] if passed else [f"{good}; expected at most {limit:.3g}"]
    return _outcome("agrees", problems, good, {"apart": _plain(apart), "limit": _plain(limit), "rows": rows})


def only_of_the_moment(outcomes: Iterable[CheckOutcome]) -> bool:
    """Return whether something blocks, and only measures of the machine do, which a new attempt may pass."""
    stopped = {outcome.name for outcome in outcomes if outcome.stops}
    return bool(stopped) and stopped <= {*OF_THE_MOMENT}


def all_pass(required: Sequence[str], outcomes: Sequence[CheckOutcome]) -> CheckOutcome:
    """Combine all gates: each required gate is present and passed, and no other blocks. Without any gate it fails."""
    evaluated = {outcome.name for outcome in outcomes}
    problems = [f"{name}: was not evaluated" for name in required if name not in evaluated]
    failed = [gate for gate in outcomes if not gate.passed and (gate.name in required or gate.stops)]
    problems += [f"{gate.name}: {gate.message}" for gate in failed]
    if not required:
        problems.append("no gate is required: nothing has been shown")
    table = [{"gate": gate.name, "passed": gate.passed, "result": gate.message} for gate in outcomes]
    return _outcome("all_gates", problems, f"all {len(required)} gates passed", {"gates": table})


def _outcome(name: str, problems: Sequence[str], good: str, metadata: dict[str, Any]) -> CheckOutcome:
    return CheckOutcome(name, not problems, "; ".join(problems) or good, metadata=metadata)


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
