"""Estimates without labels against simulations of known truth: covariate shift is covered, concept drift is not."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from scipy import signal, stats

from mlops_assets.decisions.performance.calibration import calibration
from mlops_assets.decisions.performance.estimated import Estimate, coverage, estimate, estimated_metric, reliable
from mlops_assets.modelling.metrics import metric
from mlops_assets.modelling.predictions import Predictions

BINARY = ("accuracy", "log_loss", "brier", "roc_auc", "f1")
WEIGHTS = np.array([[1.2, -0.7], [-0.6, 0.2], [0.1, 1.0]])


def two_classes(draw: np.random.Generator, rows: int, shift: float = 0.0, concept: float = 0.0, phi: float = 0.0):
    """Labels, and an overconfident, biased model of them. `shift` moves the features, `concept` what they mean."""
    x = draw.normal(shift, 1.0, size=rows)
    chained = signal.lfilter([1.0], [1.0, -phi], draw.normal(size=rows + 100) * (1 - phi**2) ** 0.5)[100:]
    y = (stats.norm.cdf(chained) < sigmoid(1.4 * x - 0.5 + concept)).astype(int)
    positive = sigmoid(2.5 * x - 0.2)
    return y, Predictions((positive > 0.5).astype(int), np.column_stack([1 - positive, positive]), np.array([0, 1]))


def three_classes(draw: np.random.Generator, rows: int, shift: float = 0.0):
    """Labels, and a model that is somewhat too sure of itself."""
    scores = (draw.normal(size=(rows, 2)) + np.array([shift, 0.0])) @ WEIGHTS.T
    truth = softmax(scores)
    y = (draw.random(rows)[:, None] > truth.cumsum(axis=1)).sum(axis=1)
    said = softmax(1.3 * scores)
    names = np.array(["a", "b", "c"])
    return names[y], Predictions(names[said.argmax(axis=1)], said, names)


def sigmoid(score: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-score))


def softmax(scores: np.ndarray) -> np.ndarray:
    grown = np.exp(scores - scores.max(axis=1, keepdims=True))
    return grown / grown.sum(axis=1, keepdims=True)


def outcomes(
    make, name: str, holdout: int, batch: int, draws: int, shared=None, **shift
) -> list[tuple[Estimate, float]]:
    """Estimates with what came out, `shift` in the batch alone."""
    found = []
    for number in range(draws):
        draw = np.random.default_rng([7, number])
        y, known = make(draw, holdout, **(shared or {}))
        truth, new = make(draw, batch, **(shared or {}), **shift)
        found.append((estimate(name, y, known, new), metric(name).function(truth, new)))
    return found


def held(found: list[tuple[Estimate, float]]) -> float:
    return float(np.mean([each.low <= came <= each.high for each, came in found]))


@pytest.mark.parametrize("name", BINARY)
def test_the_interval_holds_the_truth_under_covariate_shift(name):
    """95% are promised; of 150 draws 90 to 99%, since they leave a standard error of 1.8 points."""
    found = outcomes(two_classes, name, holdout=1_000, batch=400, draws=150, shift=0.8)
    assert 0.90 <= held(found) <= 0.99
    errors = [each.value - came for each, came in found]
    assert abs(np.mean(errors)) < 0.25 * np.std(errors)


@pytest.mark.slow
@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("phi", [0.0, 0.7])
@pytest.mark.parametrize(("holdout", "batch"), [(200, 500), (2_000, 200)])
@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_the_interval_holds_the_truth(name, phi, holdout, batch, shift):
    """Of 400 draws; where rows hang together some intervals are too narrow: 88% at least were seen, not 95%."""
    found = outcomes(two_classes, name, holdout, batch, 400, {"phi": phi}, shift=shift)
    assert (0.86 if phi else 0.90) <= held(found) <= 0.99


@pytest.mark.parametrize("name", ["log_loss"])
def test_it_holds_the_truth_where_rows_hang_together(name):
    assert 0.89 <= held(outcomes(two_classes, name, 1_000, 500, 100, {"phi": 0.7}, shift=0.5)) <= 0.99


@pytest.mark.parametrize("name", ["accuracy", "log_loss"])
def test_it_holds_the_truth_for_three_classes(name):
    assert 0.90 <= held(outcomes(three_classes, name, 1_000, 400, 100, shift=1.0)) <= 0.995


def test_uncalibrated_probabilities_alone_would_be_far_off():
    """What the model says of itself is a log loss that it never had."""
    (found, came), *_ = outcomes(two_classes, "log_loss", 2_000, 5_000, 1)
    _, said = two_classes(np.random.default_rng(1), 5_000)
    claimed = -(said.probability * np.log(said.probability)).sum(axis=1).mean()
    assert claimed < found.low < came < found.high


def test_concept_drift_is_not_seen():
    """The same features mean another label: the estimate stays, and its interval is wrong."""
    found = outcomes(two_classes, "accuracy", 1_000, 1_000, 20, concept=-1.5)
    assert held(found) < 0.1
    assert "concept drift" in (estimate.__doc__ or "")


def test_the_estimate_is_the_mean_of_the_metric_over_labels_drawn_from_the_calibrated_chances():
    draw = np.random.default_rng(3)
    y, known = two_classes(draw, 1_000)
    _, new = two_classes(draw, 300, shift=0.5)
    number = np.searchsorted(known.classes, y)
    chances = calibration(known.probability, number).chances(new.probability)
    labels = (draw.random((2_000, 300)) < chances[:, 1]).astype(int)
    for name in BINARY:
        drawn = [metric(name).function(each, new) for each in labels]
        found = estimate(name, y, known, new)
        assert found.value == pytest.approx(np.mean(drawn), abs=5 * np.std(drawn) / 2_000**0.5 + 1e-3), name
        assert found.high - found.low > 2 * 1.96 * np.std(drawn) * 0.95, name  # more than how labels fall


@pytest.mark.parametrize("make", [two_classes, three_classes])
def test_calibrated_chances_come_true_and_sum_to_one(make):
    draw = np.random.default_rng(5)
    (y, known), (truth, new) = make(draw, 5_000), make(draw, 50_000)
    chances = calibration(known.probability, np.searchsorted(known.classes, y)).chances(new.probability)
    assert chances.sum(axis=1) == pytest.approx(1.0)
    for column, label in enumerate(new.classes):
        sure = chances[:, column] > np.quantile(chances[:, column], 0.8)
        assert chances[sure, column].mean() == pytest.approx((truth[sure] == label).mean(), abs=0.03)


def test_the_error_of_the_calibration_is_that_of_repeated_holdouts():
    """The sandwich against 150 holdouts drawn anew, on one large batch."""
    _, new = two_classes(np.random.default_rng(11), 2_000, shift=0.5)
    values, errors = [], []
    for number in range(150):
        y, known = two_classes(np.random.default_rng([13, number]), 800)
        fitted = calibration(known.probability, y)
        wrong = (new.value[:, None] != np.arange(2)).astype(float)
        values.append((fitted.chances(new.probability) * wrong).sum(axis=1).mean())
        errors.append(fitted.influence(new.probability, wrong).std() / 800**0.5)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)


def test_probabilities_of_0_and_1_and_separated_classes_stay_finite():
    y = np.repeat([0, 1], 100)
    said = Predictions(y, np.column_stack([1.0 - y, y]).astype(float), np.array([0, 1]))
    found = estimate("log_loss", y, said, said)
    assert 0 <= found.low <= found.value <= found.high < 1 and found.value < 0.1


def test_why_there_is_no_estimate_is_said():
    y, said = two_classes(np.random.default_rng(0), 100)
    one_class = np.zeros(100, dtype=int)
    assert estimate("log_loss", one_class, said, said).note.startswith("no class has 10 labelled rows in the holdout")
    assert estimate("log_loss", y[:20], said.take(np.arange(20)), said).note.startswith(
        "20 labelled rows in the holdout"
    )
    assert estimate("mae", y, said, said).note.startswith("mae cannot be estimated for 2 classes, but accuracy, ")
    number = Predictions(np.zeros(100))
    assert estimate("rmse", y, number, number).note == "only classifiers with probabilities can be estimated"
    holed = Predictions(said.value, np.full((100, 2), np.nan), said.classes)
    found = estimate("log_loss", y, said, holed)
    assert (found.note, np.isnan(found.value)) == ("some probabilities are not finite", True)


def test_the_metric_is_the_first_that_can_be_estimated():
    assert estimated_metric(["average_precision", "roc_auc", "log_loss"], 2) == "roc_auc"
    assert estimated_metric(["roc_auc", "brier"], 3) == "brier"
    assert estimated_metric(["balanced_accuracy"], 2) == "log_loss"


def test_past_coverage_in_words():
    past = [(0.1, 0.3, 0.2)] * 9 + [(0.1, 0.3, 0.4)]
    assert coverage(past) == "its interval held the truth in 9 of 10 past batches"
    assert coverage([]) == "no past batch has been compared yet"
    past = [(0.1, 0.3, 0.2)] * 4 + [(0.1, 0.3, 0.4)] * 7
    assert coverage(past) == "its interval held the truth in 4 of 11 past batches: not to be relied on"


@pytest.mark.parametrize(
    ("held", "missed", "relied"),
    [
        (0, 0, True),
        (0, 1, True),
        (0, 2, False),
        (5, 2, False),
        (6, 2, True),
        (13, 3, False),
        (14, 3, True),
        (4, 7, False),
    ],
)
def test_intervals_that_missed_oftener_than_chance_are_not_relied_on(held, missed, relied):
    assert reliable([(0.1, 0.3, 0.2)] * held + [(0.1, 0.3, 0.4)] * missed) is relied


def test_a_shift_of_the_base_rate_is_seen_by_what_past_intervals_held():
    """A fifth of the positives is left: p(label | score) moves with the base rate, which no score shows."""
    draw = np.random.default_rng(14)
    y, said = two_classes(draw, 4_000)
    past = []
    for _ in range(11):
        label, batch = two_classes(draw, 4_000)
        kept = (label == 0) | (draw.random(len(label)) < 0.2)
        found = estimate("log_loss", y, said, batch.take(kept))
        past.append((found.low, found.high, metric("log_loss").function(label[kept], batch.take(kept))))
    assert not reliable(past)
    assert coverage(past).endswith("of 11 past batches: not to be relied on")


def test_two_evaluations_are_equal_to_the_byte():
    once, again = (asdict(found) for found, _ in outcomes(three_classes, "brier", 500, 100, 1) * 2)
    assert json.dumps(once) == json.dumps(again)
    y, said = two_classes(np.random.default_rng(2), 400)
    assert json.dumps(asdict(estimate("roc_auc", y, said, said))) == json.dumps(
        asdict(estimate("roc_auc", y, said, said))
    )


def of_few_leaves(draw: np.random.Generator, rows: int):
    """Labels, and a model with four different probabilities, as a small tree has."""
    positive = draw.choice([0.1, 0.3, 0.4, 0.8], size=rows, p=[0.4, 0.3, 0.2, 0.1])
    y = (draw.random(rows) < positive).astype(int)
    return y, Predictions((positive > 0.5).astype(int), np.column_stack([1 - positive, positive]), np.array([0, 1]))


def test_the_area_under_the_curve_does_not_depend_on_which_class_is_the_second():
    draw = np.random.default_rng(8)
    (y, known), (_, new) = of_few_leaves(draw, 1_000), of_few_leaves(draw, 300)
    turned = [Predictions(1 - each.value, each.probability[:, ::-1], each.classes) for each in (known, new)]
    one, other = estimate("roc_auc", y, known, new), estimate("roc_auc", 1 - y, *turned)
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high), abs=1e-6)


def test_rows_of_the_holdout_that_repeat_widen_the_interval():
    draw = np.random.default_rng(9)
    (y, known), (_, new) = two_classes(draw, 500), two_classes(draw, 300)
    stretched = known.take(np.repeat(np.arange(500), 5))
    for name in ("accuracy", "log_loss"):
        once, often = estimate(name, y, known, new), estimate(name, np.repeat(y, 5), stretched, new)
        assert often.value == pytest.approx(once.value, abs=0.02)
        # rows that were five times as many and independent would give a narrower interval, never a wider one
        assert often.high - often.low > 1.3 * (once.high - once.low), name
