"""Whether each feature earns its place: the loss without it, its value alone, and its cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from mlops_assets.lazy import np
from mlops_assets.modelling.engine import Engine
from mlops_assets.modelling.feature_worth.bins import bin_means
from mlops_assets.modelling.feature_worth.correlations import correlated_groups
from mlops_assets.modelling.feature_worth.cost import bytes_a_row
from mlops_assets.modelling.feature_worth.effects import Effect, score
from mlops_assets.modelling.feature_worth.importance import permutation_importances
from mlops_assets.modelling.feature_worth.refitted import Labelled, RefitScores, refits
from mlops_assets.modelling.metrics import Metric
from mlops_assets.modelling.predictions import predict
from mlops_assets.modelling.problem import Problem
from mlops_assets.statistics.groups import Groups
from mlops_assets.statistics.holm import holm_adjustment

MOST_ROWS = 5_000
"""Newest rows of either side that features are tested on."""

_ALPHA = 0.025
_LEAST_EFFECT = 0.001  # of the metric: a copy that changes a penalty a little is certain and of no concern

Verdict = Literal["earns", "replaceable", "earns nothing", "harms", "not known"]


@dataclass(frozen=True, kw_only=True)
class FeatureTest:
    """One feature, or a group of correlated ones that is tested like one.

    `importance`: loss of the metric if its values are shuffled. `alone`: the metric of this feature alone, None for a
    group. `without`: loss of the metric if the model is fitted without it. It is None if not requested, if no column is
    left, or if the fit failed (`failed` says why). `group`: number of the group of correlated features. `missing`:
    share from 0 to 1. `bytes`: of memory for a row. `milliseconds`: that 1,000 predictions take less without it.
    """

    columns: tuple[str, ...]
    importance: Effect
    alone: Effect | None
    without: Effect | None
    group: int | None
    missing: float
    bytes: float
    milliseconds: float | None = None
    failed: str = ""
    verdict: Verdict = "not known"

    @property
    def effect(self) -> Effect:
        """What the verdict uses first: the loss without it if known, else the importance."""
        return self.without or self.importance


def feature_tests(
    fitted: Any,
    train: Labelled,
    holdout: Labelled,
    problem: Problem,
    metric: Metric,
    seed: int,
    ablation: bool = False,
    groups: Groups | None = None,
    engine: Engine | None = None,
) -> list[FeatureTest]:
    """Test each feature of a fitted model, and each group of correlated ones; the greatest effect first.

    train, holdout: X (rows, columns) and y (rows,), in order of time; the newest 5,000 rows of each are used.
    groups: those of the holdout's rows, such as customers. With `ablation` the model is refitted without each feature
        and with it only, by `engine`; else `alone` is from `bin_means`.

    harms: the model is better without it, p at most 0.025 after Holm (1979) over the features: to drop a feature is a
        claim. earns: the interval of its own loss is above zero; no correction, since one feature too many costs
        little. Neither applies below a thousandth of the metric. replaceable: the model uses it, or its group earns,
        but the others can replace it. earns nothing: no effect was shown. not known: the metric gives no interval. The
        loss without it is judged if the model was refitted, else the importance, which does not see harm done in
        training only.
    """
    train, judged = _newest(train), _newest(holdout)
    newest = None if groups is None else groups.take(np.arange(len(holdout[1]) - len(judged[1]), len(holdout[1])))
    correlated = correlated_groups(train[0])
    sets = [*((str(name),) for name in train[0].columns), *(tuple(group) for group in correlated)]
    importances = permutation_importances(fitted, *holdout, metric, sets, seed, groups=groups)
    if ablation:
        refitted = refits(fitted, train, judged, metric, sets, newest, engine)
    else:
        refitted = [RefitScores() for _ in sets]
        for record, name in zip(refitted, train[0].columns, strict=False):  # the single columns come first
            predictions = bin_means(train[0][name], train[1], judged[0][name], problem)
            record.alone = score(metric, np.asarray(judged[1]), predictions, newest)
    cost = bytes_a_row(train[0])
    number = {name: position for position, group in enumerate(correlated, start=1) for name in group}
    tests = [
        FeatureTest(
            columns=columns,
            importance=importance,
            group=number.get(columns[0]),
            missing=float(train[0][list(columns)].isna().to_numpy().mean()),
            bytes=sum(cost[name] for name in columns),
            **vars(refit),
        )
        for columns, importance, refit in zip(sets, importances, refitted, strict=True)
    ]
    least = _LEAST_EFFECT * abs(metric.function(np.asarray(judged[1]), predict(fitted, judged[0])))
    return sorted(_judged(tests, least), key=lambda test: -np.nan_to_num(test.effect.value, nan=-np.inf))


def _judged(tests: Sequence[FeatureTest], least: float) -> list[FeatureTest]:
    """Return the tests with their verdicts; effects under `least` count as nothing."""
    p = np.array([test.effect.p_harms for test in tests])
    single = np.array([len(test.columns) == 1 for test in tests])
    p[single] = holm_adjustment(p[single])
    earning = {test.group for test in tests if len(test.columns) > 1 and _shown(test.effect, least)}
    return [
        replace(test, verdict=_verdict(test, float(harm), least, test.group in earning))
        for test, harm in zip(tests, p, strict=True)
    ]


def _verdict(test: FeatureTest, p_harms: float, least: float, group_earns: bool) -> Verdict:
    if np.isnan(test.effect.low):
        return "not known"
    if p_harms <= _ALPHA and test.effect.value <= -least:
        return "harms"
    if _shown(test.effect, least):
        return "earns"
    return "replaceable" if _shown(test.importance, least) or group_earns else "earns nothing"


def _shown(effect: Effect, least: float) -> bool:
    return effect.low > 0 and effect.value >= least


def _newest(part: Labelled) -> Labelled:
    return part[0].iloc[-MOST_ROWS:], part[1].iloc[-MOST_ROWS:]
