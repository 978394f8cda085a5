import json

import numpy as np
import pytest

from mlops_assets.decisions.comparison import compare
from mlops_assets.decisions.resampling import block_length, resampled_means, resampled_rows, widening
from mlops_assets.errors import TrainingError
from mlops_assets.modelling.metrics import metric
from mlops_assets.modelling.predictions import Predictions


def off_by(errors):
    """Predictions of a target that is 0 throughout."""
    return Predictions(np.asarray(errors, dtype=float))


def autocorrelated(draw, rows, phi):
    noise = draw.normal(size=rows + 100)
    for row in range(1, len(noise)):
        noise[row] += phi * noise[row - 1]
    return noise[100:]


def test_a_better_model_is_promoted_with_its_gain_in_the_units_of_the_metric():
    errors = np.random.default_rng(0).normal(size=2_000)
    verdict = compare(np.zeros(2_000), off_by(errors * 1.5), off_by(errors), metric("rmse"))
    assert verdict.verdict == "promote"
    assert verdict.effect == pytest.approx(0.5 * np.sqrt(np.mean(errors**2)))
    assert verdict.low < verdict.effect < verdict.high
    assert verdict.p == pytest.approx(1 / 2_001)
    assert (verdict.rows, verdict.block, verdict.confidence, len(verdict.differences)) == (2_000, 1, 0.95, 2_000)
    assert verdict.reason.startswith("rmse improves by 0.5003; the improvement lies between")


def test_a_worse_an_equal_and_a_slightly_better_model_are_kept_out():
    draw = np.random.default_rng(0)
    errors, y = draw.normal(size=2_000), np.zeros(2_000)
    assert compare(y, off_by(errors), off_by(errors * 1.5), metric("rmse")).verdict == "keep"
    same = compare(y, off_by(errors), off_by(errors), metric("rmse"))
    assert (same.verdict, same.effect, same.p) == ("keep", 0.0, 1.0)
    gain = compare(y, off_by(errors * 1.05), off_by(errors), metric("rmse"), min_gain=0.2)
    assert (gain.verdict, gain.effect > 0) == ("keep", True)
    other = compare(y, off_by(errors), off_by(draw.permutation(errors)), metric("rmse"))
    assert other.verdict == "inconclusive"
    assert other.low < 0 < other.high


def test_greater_is_better_for_metrics_that_say_so():
    draw = np.random.default_rng(0)
    y = draw.integers(0, 2, 3_000)

    def guess(share):
        right = draw.random(3_000) < share
        positive = np.where(right, y, 1 - y) * 0.6 + 0.2
        return Predictions((positive > 0.5).astype(int), np.column_stack([1 - positive, positive]), np.array([0, 1]))

    worse, better = guess(0.6), guess(0.8)
    for name in ("accuracy", "roc_auc", "log_loss"):
        assert compare(y, worse, better, metric(name)).verdict == "promote"
        assert compare(y, better, worse, metric(name)).verdict == "keep"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_never_promoted(bad):
    good = np.random.default_rng(0).normal(size=100)
    holed = good.copy()
    holed[3] = bad
    y = np.zeros(100)
    challenger = compare(y, off_by(good), off_by(holed), metric("rmse"))
    assert (challenger.verdict, challenger.reason) == (
        "keep",
        "1 of the challenger's predictions are missing or infinite: not comparable",
    )
    assert compare(y, off_by(holed), off_by(good), metric("rmse")).verdict == "keep"
    assert compare(holed, off_by(good), off_by(good), metric("rmse")).reason.startswith("1 labels are missing")
    one_class = Predictions(np.zeros(100), np.full((100, 2), 0.5), np.array([0, 1]))
    assert compare(y, one_class, one_class, metric("roc_auc")).reason.startswith("roc_auc of the champion is nan")
    assert json.loads(json.dumps(challenger.to_dict(), allow_nan=False))["effect"] is None


def test_few_rows_tell_nothing():
    verdict = compare(np.zeros(19), off_by(np.ones(19)), off_by(np.zeros(19)), metric("rmse"))
    assert (verdict.verdict, verdict.reason[:7]) == ("inconclusive", "19 rows")
    with pytest.raises(TrainingError, match="20 labels, 19 of the champion"):
        compare(np.zeros(20), off_by(np.ones(19)), off_by(np.zeros(20)), metric("rmse"))


def test_the_same_seed_gives_the_same_verdict():
    draw = np.random.default_rng(0)
    one, other = off_by(draw.normal(size=200)), off_by(draw.normal(size=200))
    verdicts = [compare(np.zeros(200), one, other, metric("rmse"), seed=seed) for seed in (1, 1, 2)]
    assert verdicts[0] == verdicts[1]
    assert (verdicts[0].differences == verdicts[1].differences).all()
    assert verdicts[0].low != verdicts[2].low


@pytest.mark.parametrize(("rows", "phi", "most"), [(200, 0.0, 0.08), (200, 0.8, 0.10)])
def test_equal_models_are_seldom_promoted(rows, phi, most):
    draw = np.random.default_rng(7)
    promoted = 0
    for seed in range(300):
        one, other = (off_by(autocorrelated(draw, rows, phi)) for _ in range(2))
        promoted += compare(np.zeros(rows), one, other, metric("mae"), resamples=300, seed=seed).verdict == "promote"
    assert promoted / 300 <= most


def test_blocks_are_as_long_as_rows_hang_together():
    draw = np.random.default_rng(0)
    lengths = [block_length(autocorrelated(draw, 5_000, phi)) for phi in (0.0, 0.5, 0.9)]
    assert lengths[0] <= 3 < lengths[1] < lengths[2] <= 3 * np.sqrt(5_000)
    # Politis & White: (2 G^2 / D)^(1/3) n^(1/3) with D = 4/3 g^2: G / g is 2 phi / (1 - phi^2)
    assert lengths[1] == pytest.approx((1.5 * (2 * 0.5 / (1 - 0.25)) ** 2) ** (1 / 3) * 5_000 ** (1 / 3), rel=0.4)
    assert block_length(np.ones(100)) == 1


def test_vectorised_means_are_those_of_the_rows_drawn():
    values = np.random.default_rng(0).normal(size=(23, 2))
    means = resampled_means(values, 5, 40, seed=3)
    by_rows = [values[index].mean(axis=0) for index in resampled_rows(23, 5, 40, seed=3)]
    np.testing.assert_allclose(means, by_rows)


def test_bounds_are_wider_where_blocks_are_few():
    assert widening(10_000, 1, 0.05) == pytest.approx(1.0, abs=0.001)
    assert widening(50, 10, 0.05) == pytest.approx(np.sqrt(5 / 4) * 2.132 / 1.645, rel=0.001)
    assert widening(10, 8, 0.05) == np.inf
