"""What `evaluation` shows of each feature, and its two checks that warn: useless features, overlapping rows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from mlops_assets.assets.shared.metadata import table
from mlops_assets.assets.training.gates import Case
from mlops_assets.checks import CheckOutcome
from mlops_assets.decisions.promotion.overlap import no_overlap
from mlops_assets.declaration import Declaration
from mlops_assets.lazy import pd
from mlops_assets.modelling.feature_worth.effects import Effect
from mlops_assets.modelling.metrics import Metric, metric
from mlops_assets.statistics.groups import Groups
from mlops_assets.text import listed, shown

if TYPE_CHECKING:
    from mlops_assets.modelling.feature_worth.worth import FeatureTest

FEATURE_CHECKS = {
    "no_overlap": "No more rows of the holdout stand in the training rows too than chance brings.",
    "features_earn": "Each feature is worth something to the model, and none harms it.",
}
_NOT_ASKED = (
    "judged by permutation importance only; for fits without each feature declare ablation=True, or set "
    "`ablation: true` in the launchpad of `evaluation`"
)


def tested_features(model: Declaration, case: Case, ablation: bool) -> "list[FeatureTest]":
    """Test each feature of the challenger on its holdout; return the one that matters most first."""
    from mlops_assets.modelling.feature_worth.worth import feature_tests

    train, holdout = ((rows.X, rows.y) for rows in (case.train, case.holdout))
    groups = None if model.group is None else Groups.of(case.holdout.about[model.group])
    return feature_tests(case.fitted, train, holdout, case.problem, judging_metric(case), model.seed, ablation, groups)


def judging_metric(case: Case) -> "Metric":
    """Return the first metric with row influences (ours have them, sklearn's scorers do not), else RMSE or accuracy."""

    own = metric("rmse" if case.problem == "regression" else "accuracy")
    return next((each for each in case.metrics if each.influence is not None), own)


def features_table(tests: "Sequence[FeatureTest]", metric: str) -> dg.TableMetadataValue:
    """Return a row for each feature and each group of correlated features; figures in the units of the metric."""
    return table(_row(test, metric, refitted=any(each.without for each in tests)) for test in tests)


def importance_record(tests: "Sequence[FeatureTest]") -> dict[str, float]:
    """Return the permutation importance of each feature for which the metric is defined."""
    import math

    found = {test.columns[0]: test.importance.value for test in tests if len(test.columns) == 1}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def importance_plot(tests: "Sequence[FeatureTest]") -> bytes:
    """Return a plot of the features by permutation importance, with their 95% intervals."""

    from mlops_assets.modelling.plots import model_plots as plots

    single = [test for test in tests if len(test.columns) == 1]
    drawn = pd.DataFrame(
        {
            "feature": [test.columns[0] for test in single],
            "importance": [test.importance.value for test in single],
            "low": [test.importance.low for test in single],
            "high": [test.importance.high for test in single],
        }
    )
    return plots.importance(drawn.sort_values("importance", ascending=False, kind="stable", ignore_index=True))


def feature_checks(case: Case, tests: "Sequence[FeatureTest]", target: str) -> list[CheckOutcome]:
    """Return the checks of `FEATURE_CHECKS`, in their order."""

    train, holdout = (rows.X.assign(**{target: rows.y}) for rows in (case.train, case.holdout))
    return [no_overlap(train, holdout), features_earn(tests, judging_metric(case).name)]


def features_earn(tests: "Sequence[FeatureTest]", metric: str) -> CheckOutcome:
    """Check that no feature harms and, where refits were asked for, that each feature earns something.

    Without refits, a feature that earns nothing is reported and passes: interchangeable features, or features that
    matter on other rows, look the same.
    """
    single = [test for test in tests if len(test.columns) == 1]
    by_verdict = {
        verdict: [test.columns[0] for test in single if test.verdict == verdict]
        for verdict in ("harms", "earns nothing", "not known")
    }
    said = [f"{verdict}: {listed(names)}" for verdict, names in by_verdict.items() if names]
    failed = {test.columns: test.failed for test in tests if test.failed}
    refitted = any(test.without for test in tests)
    how = "judged by fits without each feature" if refitted else _NOT_ASKED
    if failed:
        how += f"; {len(failed)} fits failed, the first: {next(iter(failed.values())):.200}"
    found = by_verdict["harms"] + by_verdict["earns nothing"]
    message = "; ".join(said) or f"none of {len(single)} features harms or earns nothing"
    rows = [
        {"feature": shown(test.columns[0]), "verdict": test.verdict, "worth": test.effect.value}
        for test in single
        if test.columns[0] in found
    ]
    return CheckOutcome(
        "features_earn",
        not (found if refitted else by_verdict["harms"]),
        f"{message} ({metric}, {how})",
        severity="warn",
        blocking=False,
        metadata={"features": rows} if rows else {},
    )


def _row(test: "FeatureTest", metric: str, refitted: bool) -> dict[str, Any]:
    without = {"lost without": _value(test.without), "lost without, 95%": _bounds(test.without)} if refitted else {}
    took = {"ms per 1,000 rows": test.milliseconds} if refitted else {}
    return {
        "feature": " + ".join(test.columns),
        "verdict": test.verdict,
        **without,
        "importance": test.importance.value,
        "importance, 95%": _bounds(test.importance),
        f"{metric} alone": _value(test.alone),
        f"{metric} alone, 95%": _bounds(test.alone),
        "correlated group": test.group,
        "missing": test.missing,
        "bytes a row": test.bytes,
        **took,
    }


def _value(effect: "Effect | None") -> float | None:
    return None if effect is None else effect.value


def _bounds(effect: "Effect | None") -> str:
    return "" if effect is None else f"{effect.low:.3g} to {effect.high:.3g}"
