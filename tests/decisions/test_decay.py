import numpy as np
import pytest

from mlops_assets.decisions.decay import decay, insufficient_labels

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
    assert "% worse, p 0.000999" in found.reason


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


@pytest.mark.parametrize(("holdout", "batch", "where"), [(500, 29, "batch"), (29, 500, "holdout"), (500, 0, "batch")])
def test_few_labels_are_never_ok(holdout, batch, where):
    found = decay(np.ones(holdout), np.ones(batch), "mae", lambda mean: mean)
    assert found.verdict == "insufficient labels"
    assert f"labelled rows in the {where} are too few" in found.reason


def test_losses_that_are_not_finite_are_never_ok():
    holed = np.array([np.nan, np.inf, *np.ones(98)])
    assert decay(HOLDOUT, holed, "mae", lambda mean: mean).verdict == "decay"
    assert decay(holed, HOLDOUT, "mae", lambda mean: mean).verdict == "insufficient labels"


def test_false_alarms_are_rare_and_the_seed_decides():
    alarms = 0
    for seed in range(200):
        one, other = DRAW.normal(size=(2, 200)) ** 2
        alarms += decay(one, other, "rmse", np.sqrt, seed=seed, resamples=300).verdict == "decay"
    assert alarms <= 4
    assert decay(HOLDOUT, HOLDOUT[:90], "mae", abs, seed=3) == decay(HOLDOUT, HOLDOUT[:90], "mae", abs, seed=3)


@pytest.mark.parametrize(
    ("labelled", "rows", "share", "said"),
    [
        (0, 1_000, None, "insufficient labels: none of 1,000 rows has one yet"),
        (0, 1_000, 0.8, "insufficient labels: none of 1,000 rows has one yet"),
        (
            120,
            1_000,
            0.8,
            "insufficient labels: 120 of 1,000 rows (12%) have one; 80% are needed, since labels that come first are "
            "not like those that come late",
        ),
        (
            799,
            1_000,
            0.8,
            "insufficient labels: 799 of 1,000 rows (79%) have one; 80% are needed, since labels that "
            "come first are not like those that come late",
        ),
    ],
)
def test_labels_that_are_too_few_for_the_batch_are_told_with_their_share(labelled, rows, share, said):
    assert insufficient_labels(labelled, rows, share) == said


def test_enough_labels_are_enough():
    assert insufficient_labels(800, 1_000, 0.8) is None
    assert insufficient_labels(1, 1_000) is None
