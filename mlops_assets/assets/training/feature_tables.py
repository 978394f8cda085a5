"""What `evaluation` shows of each feature, and its two checks that warn: useless features, overlapping rows."""

import math
from collections.abc import Sequence
from typing import Any

import dagster as dg

from mlops_assets.assets.shared.metadata import table
from mlops_assets.assets.training.gates import Case
from mlops_assets.checks import CheckOutcome
from mlops_assets.decisions.promotion.overlap import no_overlap
from mlops_assets.lazy import pd
from mlops_assets.modelling.engine import Engine
from mlops_assets.modelling.feature_worth.effects import Effect
from mlops_assets.modelling.feature_worth.worth import FeatureTest, feature_tests
from mlops_assets.modelling.metrics import Metric, metric
from mlops_assets.modelling.plots import model_plots as plots
from mlops_assets.statistics.groups import Groups
from mlops_assets.text import listed, shown

CHECKS = {
    "no_overlap": "No more rows of the holdout are also training rows than chance brings.",
    "features_earn": "Each feature is worth something to the model, and none harms it.",
}
_NOT_REFITTED = (
    "judged by permutation importance only; for fits without each feature declare ablation=True, or set "
    "`ablation: true` in the launchpad of `evaluation`"
)


def tested_features(case: Case, ablation: bool, engine: Engine | None = None) -> list[FeatureTest]:
    """Test each feature of the challenger on its holdout; return the one that matters most first.

    engine: fits for the ablation, in place of this process.
    """
    model, metric = case.model, judging_metric(case)
    train, holdout = ((rows.X, rows.y) for rows in (case.train, case.holdout))
    groups = None if model.group is None else Groups.of(case.holdout.about[model.group])
    return feature_tests(case.fitted, train, holdout, case.problem, metric, model.seed, ablation, groups, engine)


def judging_metric(case: Case) -> Metric:
    """Return the first metric with row influences (ours have them, sklearn's scorers do not), else RMSE or accuracy."""
    own = metric("rmse" if case.problem == "regression" else "accuracy")
    return next((first for first in case.metrics if first.influence is not None), own)


def features_table(case: Case, tests: Sequence[FeatureTest]) -> dg.TableMetadataValue:
    """Return a row for each feature and each group of correlated features; figures in the units of the metric."""
    refitted = any(test.without for test in tests)
    return table(_row(test, judging_metric(case).name, refitted) for test in tests)


def importance_record(tests: Sequence[FeatureTest]) -> dict[str, float]:
    """Return the permutation importance of each feature for which the metric is defined."""
    importance = {test.columns[0]: test.importance.value for test in _of_one_feature(tests)}
    return {name: value for name, value in importance.items() if math.isfinite(value)}


def importance_plot(tests: Sequence[FeatureTest]) -> bytes:
    """Return a plot of the features by permutation importance, with their 95% intervals."""
    bounds = [(test.columns[0], test.importance) for test in _of_one_feature(tests)]
    rows = [(name, importance.value, importance.low, importance.high) for name, importance in bounds]
    frame = pd.DataFrame(rows, columns=["feature", "importance", "low", "high"])
    return plots.importance(frame.sort_values("importance", ascending=False, kind="stable", ignore_index=True))


def feature_checks(case: Case, tests: Sequence[FeatureTest]) -> list[CheckOutcome]:
    """Return the checks of `CHECKS`, in their order."""
    train, holdout = (rows.X.assign(**{case.model.target: rows.y}) for rows in (case.train, case.holdout))
    return [no_overlap(train, holdout), features_earn(tests, judging_metric(case).name)]


def features_earn(tests: Sequence[FeatureTest], metric: str) -> CheckOutcome:
    """Check that no feature harms and, where refits were asked for, that each feature earns something.

    Without refits, a feature that earns nothing is reported and passes: interchangeable features, or features that
    matter on other rows, look the same.
    """
    single = _of_one_feature(tests)
    by_verdict = {
        verdict: [test.columns[0] for test in single if test.verdict == verdict]
        for verdict in ("harms", "earns nothing", "not known")
    }
    refitted = any(test.without for test in tests)
    basis = "judged by fits without each feature" if refitted else _NOT_REFITTED
    if failed := [test.failed for test in tests if test.failed]:
        basis += f"; {len(failed)} fits failed, the first: {failed[0]:.200}"
    listing = "; ".join(f"{verdict}: {listed(names)}" for verdict, names in by_verdict.items() if names)
    listing = listing or f"none of {len(single)} features harms or earns nothing"
    useless = by_verdict["harms"] + by_verdict["earns nothing"]
    rows = [
        {"feature": shown(test.columns[0]), "verdict": test.verdict, "worth": test.effect.value}
        for test in single
        if test.columns[0] in useless
    ]
    passed = not (useless if refitted else by_verdict["harms"])
    evidence = {"features": rows} if rows else {}
    message = f"{listing} ({metric}, {basis})"
    return CheckOutcome("features_earn", passed, message, severity="warn", blocking=False, metadata=evidence)


def _of_one_feature(tests: Sequence[FeatureTest]) -> list[FeatureTest]:
    return [test for test in tests if len(test.columns) == 1]


def _row(test: FeatureTest, metric: str, refitted: bool) -> dict[str, Any]:
    without = {"lost without": _value(test.without), "lost without, 95%": _bounds(test.without)}
    return {
        "feature": " + ".join(test.columns),
        "verdict": test.verdict,
        **(without if refitted else {}),
        "importance": test.importance.value,
        "importance, 95%": _bounds(test.importance),
        f"{metric} alone": _value(test.alone),
        f"{metric} alone, 95%": _bounds(test.alone),
        "correlated group": test.group,
        "missing": test.missing,
        "bytes a row": test.bytes,
        **({"ms per 1,000 rows": test.milliseconds} if refitted else {}),
    }


def _value(effect: Effect | None) -> float | None:
    return None if effect is None else effect.value


def _bounds(effect: Effect | None) -> str:
    return "" if effect is None else f"{effect.low:.3g} to {effect.high:.3g}"
