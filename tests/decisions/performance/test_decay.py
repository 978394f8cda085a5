import json
from dataclasses import asdict

import numpy as np
import pytest
from scipy import signal, stats

from mlops_assets.decisions.performance.decay import decay, insufficient_labels

DRAW = np.random.default_rng(0)
HOLDOUT = DRAW.normal(size=500) ** 2


def test_a_model_that_doubled_its_error_has_decayed():
    found = decay(HOLDOUT, (2 * DRAW.normal(size=100)) ** 2, "rmse", np.sqrt)
    assert found.verdict == "decay"
    assert found.ratio == pytest.approx(2, rel=0.2)
    assert found.holdout.value == pytest.approx(np.sqrt(HOLDOUT.mean()))
    assert found.holdout.low < found.holdout.value < found.holdout.high < found.batch.low
    assert found.rows == 100
    assert found.p < 0.01
    assert "79% worse, p " in found.reason


def test_a_difference_that_does_not_matter_is_no_decay():
    losses = DRAW.normal(1.0, 0.1, size=100_000)
    found = decay(losses, losses * 1.05, "mae", lambda mean: mean)
    assert (found.verdict, found.p < 0.01) == ("no decay", True)


def test_a_better_batch_is_no_decay_whichever_way_the_metric_goes():
    wrong = (DRAW.random(2_000) < 0.3).astype(float)
    right = (DRAW.random(2_000) < 0.1).astype(float)
    assert decay(wrong, right, "accuracy", lambda mean: 1 - mean).verdict == "no decay"
    worse = decay(right, wrong, "accuracy", lambda mean: 1 - mean)
    assert (worse.verdict, worse.batch.low < worse.batch.value < worse.batch.high) == ("decay", True)


@pytest.mark.fault(51)
@pytest.mark.parametrize(("holdout", "batch", "where"), [(500, 29, "batch"), (29, 500, "holdout"), (500, 0, "batch")])
def test_few_labels_are_never_ok(holdout, batch, where):
    found = decay(np.ones(holdout), np.ones(batch), "mae", lambda mean: mean)
    assert found.verdict == "insufficient labels"
    assert f"labelled rows in the {where} are too few" in found.reason


def test_losses_that_are_not_finite_are_never_ok():
    holed = np.array([np.nan, np.inf, *np.ones(98)])
    assert decay(HOLDOUT, holed, "mae", lambda mean: mean).verdict == "decay"
    assert decay(holed, HOLDOUT, "mae", lambda mean: mean).verdict == "insufficient labels"


def test_the_p_is_that_of_welch_where_losses_are_symmetric_and_rows_independent():
    holdout, batch = DRAW.normal(1.0, 0.1, size=400), DRAW.normal(1.01, 0.2, size=400)
    expected = stats.ttest_ind(batch, holdout, equal_var=False, alternative="greater").pvalue
    assert decay(holdout, batch, "mae", lambda mean: mean).p == pytest.approx(expected, rel=0.3)


@pytest.mark.parametrize("phi", [0.0, 0.7])
def test_false_alarms_are_as_rare_as_the_level_says(phi):
    """At most 1.5% at 1%, and 8 of 1,000 draws for chance; skewed losses, a holdout smaller than the batch."""
    alarms = 0
    for number in range(1_000):
        holdout, batch = (np.exp(chained(np.random.default_rng([number, rows]), rows, phi)) for rows in (500, 1_000))
        alarms += decay(holdout, batch, "mae", lambda mean: mean, tolerance=0.0).verdict == "decay"
    assert 2 <= alarms <= 23


def test_an_error_half_as_large_again_is_seen():
    draws = [np.random.default_rng(number).normal(size=(2, 500)) ** 2 for number in range(100)]
    seen = [decay(holdout, 1.5**2 * batch, "rmse", np.sqrt).verdict == "decay" for holdout, batch in draws]
    assert np.mean(seen) > 0.97


def test_what_was_judged_in_place_of_the_first_metric_is_said():
    found = decay(HOLDOUT, HOLDOUT, "log_loss", lambda mean: mean, remark="Judged by log_loss")
    assert found.reason.endswith("decay is 10% worse with p below 0.01. Judged by log_loss")


def test_two_evaluations_are_equal_to_the_byte():
    once, again = (decay(HOLDOUT, HOLDOUT[:90], "mae", abs) for _ in range(2))
    assert json.dumps(asdict(once)) == json.dumps(asdict(again))


def test_constant_losses_are_judged_as_they_are():
    assert decay(np.ones(50), np.ones(50), "mae", abs).verdict == "no decay"
    assert decay(np.full(50, 0.1), np.full(50, 0.3), "mae", abs).verdict == "decay"
    assert decay(np.full(50, 0.3), np.full(50, 0.1), "mae", abs).verdict == "no decay"
    assert decay(np.full(50, 0.1), np.tile([0.1, 0.7], 25), "mae", abs).verdict == "decay"


def chained(draw: np.random.Generator, rows: int, phi: float) -> np.ndarray:
    noise = draw.normal(size=rows + 100) * (1 - phi**2) ** 0.5
    return signal.lfilter([1.0], [1.0, -phi], noise)[100:]


@pytest.mark.parametrize(
    ("labelled", "rows", "share", "said"),
    [
        (0, 1_000, None, "insufficient labels: none of 1,000 rows has one yet"),
        (0, 1_000, 0.8, "insufficient labels: none of 1,000 rows has one yet"),
        (
            120,
            1_000,
            0.8,
            "insufficient labels: 120 of 1,000 rows (12%) have one; 80% are needed, since early labels differ from "
            "late labels",
        ),
        (
            799,
            1_000,
            0.8,
            "insufficient labels: 799 of 1,000 rows (79%) have one; 80% are needed, since early "
            "labels differ from late labels",
        ),
    ],
)
def test_labels_that_are_too_few_for_the_batch_are_told_with_their_share(labelled, rows, share, said):
    assert insufficient_labels(labelled, rows, share) == said


def test_enough_labels_are_enough():
    assert insufficient_labels(800, 1_000, 0.8) is None
    assert insufficient_labels(1, 1_000) is None


def test_the_ratio_is_of_the_batch_to_the_holdout_in_any_unit():
    for unit in (0.1, 1.0, 30.0):
        assert decay(unit * HOLDOUT, 2 * unit * HOLDOUT, "mse", lambda mean: mean).ratio == pytest.approx(2.0)


def test_where_nothing_can_be_judged_no_figure_is_given():
    found = decay(HOLDOUT, np.full(50, np.nan), "mae", lambda mean: mean)
    bounds = [getattr(side, name) for side in (found.holdout, found.batch) for name in ("value", "low", "high")]
    assert np.isnan([*bounds, found.ratio, found.p]).all() and found.rows == 50
