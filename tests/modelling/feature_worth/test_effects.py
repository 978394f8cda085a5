import numpy as np
import pytest
from scipy import stats

from mlops_assets.modelling.feature_worth.effects import difference, effect, score
from mlops_assets.modelling.metrics import metric
from mlops_assets.modelling.predictions import Predictions


def test_an_effect_of_independent_rows_is_a_one_sample_t_test():
    series = np.random.default_rng(0).normal(0.1, 1.0, 400)
    found = effect(float(series.mean()), series)
    theirs = stats.ttest_1samp(series, 0.0)
    assert (found.low, found.high) == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    assert found.p_harms == pytest.approx(stats.ttest_1samp(series, 0.0, alternative="less").pvalue)


def test_an_effect_that_is_the_same_in_every_row_is_certain_and_one_without_influence_unknown():
    nothing = effect(0.0, np.zeros(400))
    assert (nothing.low, nothing.high, nothing.p_harms) == (0.0, 0.0, 1.0)
    assert np.isnan(effect(0.5, None).low)
    assert np.isnan(effect(float("nan"), np.zeros(400)).high)


def test_a_difference_is_positive_for_the_better_model_whatever_the_metric():
    random = np.random.default_rng(1)
    y = random.integers(0, 2, 400)
    right, guess = (Predictions(said, np.column_stack([1 - p, p]), np.array([0, 1])) for said, p in _said(random, y))
    for name in ("log_loss", "roc_auc", "accuracy"):
        found = difference(metric(name), y, right, guess)
        assert found.low > 0, name
        back = difference(metric(name), y, guess, right)
        assert (back.low, back.high) == pytest.approx((-found.high, -found.low)) and back.p_harms < 0.001


def _said(random, y):
    good, any_ = np.clip(0.2 + 0.6 * y + random.normal(0, 0.1, 400), 0.01, 0.99), random.uniform(0.01, 0.99, 400)
    return [((p > 0.5).astype(int), p) for p in (good, any_)]


def test_intervals_of_a_score_hold_the_true_metric():
    random, hits = np.random.default_rng(2), 0
    for _ in range(200):
        y = random.normal(0, 2.0, 300)
        found = score(metric("rmse"), y, Predictions(np.zeros(300)))
        hits += found.low <= 2.0 <= found.high
    assert 180 <= hits <= 198
