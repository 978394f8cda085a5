import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from mlops_assets.decisions.promotion import paired_difference
from mlops_assets.decisions.promotion.comparison import compare, more_rows
from mlops_assets.decisions.promotion.rivals import Rivals
from mlops_assets.errors import TrainingError
from mlops_assets.modelling.metrics import metric
from mlops_assets.modelling.predictions import Predictions


def off_by(errors):
    """Predictions of a target that is 0 throughout."""
    return Predictions(np.asarray(errors, dtype=float))


def test_a_better_model_is_promoted_with_its_gain_in_the_units_of_the_metric():
    errors = np.random.default_rng(0).normal(size=2_000)
    verdict = compare(np.zeros(2_000), off_by(errors * 1.5), off_by(errors), metric("rmse"))
    assert verdict.verdict == "promote"
    assert verdict.effect == pytest.approx(0.5 * np.sqrt(np.mean(errors**2)))
    assert verdict.low < verdict.effect < verdict.high
    assert verdict.p == pytest.approx(1 / 2_001)
    assert (verdict.rows, verdict.block, verdict.confidence, len(verdict.differences)) == (2_000, 1, 0.95, 2_000)
    assert verdict.reason.startswith("rmse improves by 0.5003; the improvement lies between")


@pytest.mark.promise(5)
@pytest.mark.fault(45)
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


@pytest.mark.promise(5)
@pytest.mark.fault(45)
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


def classified(draw, rows, strength=1.0):
    """Labels and a function that gives another model of them, all with the same expected quality."""
    y = draw.integers(0, 2, rows)

    def model():
        positive = 1 / (1 + np.exp(-strength * (2 * y - 1) - draw.normal(size=rows)))
        return Predictions((positive > 0.5).astype(int), np.column_stack([1 - positive, positive]), np.array([0, 1]))

    return y, model


@pytest.mark.parametrize(
    "name", ["rmse", "mae", "mape", "r2", "log_loss", "brier", "accuracy", "f1", "roc_auc", "average_precision"]
)
def test_a_verdict_is_that_of_drawing_rows_one_resample_after_the_other(name, monkeypatch):
    monkeypatch.setattr(paired_difference, "cautious_block", lambda series: 6)
    draw, each = np.random.default_rng(4), metric(name)
    if each.kind == "classification":
        y, model = classified(draw, 150)
        champion, challenger = model(), model()
    else:
        y = draw.normal(3, 1, 150)
        champion, challenger = (Predictions(y + draw.normal(size=150)) for _ in range(2))
    sign = 1 if each.greater_is_better else -1
    blocks = np.random.default_rng(9).integers(0, 150, size=(200, 25))
    drawn = [
        sign * (each.function(y[index], challenger.take(index)) - each.function(y[index], champion.take(index)))
        for index in ((starts[:, None] + np.arange(6)).ravel() % 150 for starts in blocks)
    ]
    verdict = compare(y, champion, challenger, each, resamples=200, seed=9)
    assert (verdict.unit, verdict.units, verdict.block) == ("blocks", 25, 6)
    # the same draws, stretched around the effect
    np.testing.assert_allclose(np.corrcoef(drawn, verdict.differences)[0, 1], 1.0)
    stretch = verdict.differences.std() / np.std(drawn)
    np.testing.assert_allclose(verdict.differences, verdict.effect + stretch * (np.array(drawn) - verdict.effect))
    assert verdict.low < verdict.effect < verdict.high


def test_any_scorer_of_sklearn_decides():
    y, model = classified(np.random.default_rng(0), 400, strength=0.2)
    better = model()
    better.value[:200] = y[:200]
    verdict = compare(y, model(), better, metric("balanced_accuracy"), resamples=100)
    assert (verdict.verdict, verdict.resamples) == ("promote", 100)


def test_a_metric_of_ones_own_decides_as_ours_would(tmp_path, monkeypatch):
    (tmp_path / "shop_errors.py").write_text("def cost(y_true, y_pred):\n    return abs(y_true - y_pred).mean()\n")
    monkeypatch.syspath_prepend(tmp_path)
    draw = np.random.default_rng(0)
    y = draw.normal(size=400)
    worse, better = (Predictions(y + draw.normal(size=400) * spread) for spread in (1.0, 0.8))
    for champion, challenger, says in ((worse, better, "promote"), (better, worse, "keep")):
        own, ours = (compare(y, champion, challenger, metric(name)) for name in ("shop_errors:cost", "mae"))
        assert (own.verdict, ours.verdict, own.metric) == (says, says, "shop_errors:cost")
        assert own.effect == pytest.approx(ours.effect)
        assert own.resamples == 500
        assert (own.low, own.high) == pytest.approx((ours.low, ours.high), abs=0.03)


def test_rows_of_a_group_count_as_what_they_share():
    draw = np.random.default_rng(6)
    group = np.repeat(np.arange(40), 25)
    order = draw.permutation(1_000)  # a group's rows are spread over time
    errors = [off_by((np.abs(draw.normal(size=40))[group] + 0.01 * draw.normal(size=1_000))[order]) for _ in range(2)]
    y, names = np.zeros(1_000), np.array([f"g{number}" for number in group[order]], dtype=object)
    alone = compare(y, *errors, metric("mae"))
    grouped = compare(y, *errors, metric("mae"), groups=names)
    assert (grouped.unit, grouped.units, grouped.block) == ("groups", 40, 0)
    assert grouped.se == pytest.approx(5 * alone.se, rel=0.25)
    assert "1,000 rows in 40 groups" in grouped.reason
    few = compare(y, *errors, metric("mae"), groups=np.arange(1_000) % 9)
    assert (few.verdict, few.reason) == (
        "inconclusive",
        "9 groups are too few to compare on; at least 10 are needed",
    )
    with pytest.raises(TrainingError, match="groups have 3 rows, the labels 1,000"):
        compare(y, *errors, metric("mae"), groups=[1, 2, 3])


def test_equal_models_on_groups_are_seldom_promoted():
    promoted, draws = 0, 400
    for seed in range(draws):
        draw = np.random.default_rng([17, seed])
        group = draw.choice(20, 400, p=np.arange(1, 21) / 210)  # of unlike size
        one, other = (off_by(draw.normal(size=20)[group] + draw.normal(size=400)) for _ in range(2))
        verdict = compare(np.zeros(400), one, other, metric("mae"), resamples=300, seed=seed, groups=group)
        promoted += verdict.verdict == "promote"
    assert promoted / draws <= 0.06 + 2 * (0.06 * 0.94 / draws) ** 0.5


def test_rows_that_would_settle_it_settle_four_in_five():
    draw = np.random.default_rng(8)
    shift = draw.normal(0.03, 1, size=1_000)  # loss differences
    one, other = off_by(5 + shift - shift.mean() + 0.03), off_by(np.full(1_000, 5.0))
    verdict = compare(np.zeros(1_000), one, other, metric("mae"))
    assert verdict.verdict == "inconclusive" and verdict.effect == pytest.approx(0.03)
    assert verdict.more_rows is not None
    assert f"about {verdict.more_rows:,} more rows would settle it" in verdict.reason
    needed = 1_000 + verdict.more_rows
    assert needed == pytest.approx(((1.645 + 0.842) * shift.std() / 0.03) ** 2, rel=0.06)
    means = draw.normal(0.03, shift.std() / needed**0.5, size=4_000)
    assert np.mean(means > 1.645 * shift.std() / needed**0.5) == pytest.approx(0.8, abs=0.03)
    assert more_rows(0.0, 1.0, 100, 0.05, 100) is None and more_rows(0.09, 1.0, 100, 0.05, 100) is None
    nothing = compare(np.zeros(1_000), off_by(5 + shift - shift.mean()), other, metric("mae"))
    assert nothing.more_rows is None and "no sensible number of rows would settle it" in nothing.reason
    assert compare(np.zeros(1_000), other, off_by(np.ones(1_000)), metric("mae")).more_rows is None


def test_a_retraining_for_freshness_need_only_not_be_worse():
    draw = np.random.default_rng(3)
    errors = draw.normal(size=2_000)
    y, old, new = np.zeros(2_000), off_by(errors), off_by(errors * 1.02)
    asked = compare(y, old, new, metric("rmse"), no_worse_by=0.05)
    assert asked.verdict == "promote" and asked.effect < 0
    assert asked.reason.endswith("not worse by the tolerated loss of 0.05")
    assert compare(y, old, new, metric("rmse")).verdict == "keep"
    worse = compare(y, old, off_by(errors * 1.5), metric("rmse"), no_worse_by=0.05)
    assert worse.verdict == "keep" and "worse by at least the tolerated loss of 0.05" in worse.reason
    unsure = compare(y[:100], off_by(errors[:100]), off_by(errors[100:200]), metric("rmse"), no_worse_by=0.05)
    assert unsure.verdict == "inconclusive"
    with pytest.raises(TrainingError, match=r"no_worse_by is -0\.1; expected 0 or more, in the units of rmse"):
        compare(y, old, new, metric("rmse"), no_worse_by=-0.1)


EVIDENCE = """
import hashlib, json
import numpy as np
from mlops_assets.decisions.promotion.comparison import compare
from mlops_assets.modelling.metrics import metric
from mlops_assets.modelling.predictions import Predictions
draw = np.random.default_rng(0)
y = draw.integers(0, 2, 12_000)
def model():
    p = 1 / (1 + np.exp(-np.convolve(draw.normal(size=12_004), np.ones(5), 'valid') - y))
    return Predictions((p > 0.5).astype(int), np.column_stack([1 - p, p]), np.array([0, 1]))
pair = model(), model()
found = [compare(y, *pair, metric(name), resamples=200).to_dict() for name in ("log_loss", "roc_auc", "f1")]
names = [f"g{number % 50}" for number in range(12_000)]
found.append(compare(y, *pair, metric("roc_auc"), resamples=200, groups=names).to_dict())
digest = hashlib.sha256(json.dumps(found).encode()).hexdigest()
"""


@pytest.mark.promise(5)
def test_the_same_evidence_gives_the_same_bytes_in_any_process():
    here: dict = {}
    exec(EVIDENCE, here)
    assert here["digest"] == hashlib.sha256(json.dumps(here["found"]).encode()).hexdigest()
    code = EVIDENCE + "print(digest)"
    variables = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "PYTHONHASHSEED": "77"}
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=variables)
    assert other.stdout.strip() == here["digest"]


def test_models_that_know_other_classes_are_compared_over_all_of_them():
    draw = np.random.default_rng(0)
    y = draw.integers(0, 2, 600)
    sure = np.clip(y + draw.normal(0, 0.6, 600), 0.05, 0.95)
    two = Predictions((sure > 0.5).astype(int), np.column_stack([1 - sure, sure]), np.array([0, 1]))
    three = Predictions(two.value, np.column_stack([two.probability, np.zeros(600)]), np.array([0, 1, 2]))
    for name in ("brier", "log_loss", "f1", "accuracy"):
        found = compare(y, two, three, metric(name))
        assert (found.effect, found.low, found.high) == (0.0, 0.0, 0.0), name


def test_f1_of_models_that_say_different_numbers_of_classes():
    draw = np.random.default_rng(0)
    y, classes = draw.integers(0, 4, 400), np.arange(4)
    coarse = Predictions(np.where(y > 1, 2, 0), np.full((400, 4), 0.25), classes)  # says 2 of the 4 classes
    fine = Predictions(np.where(draw.random(400) < 0.9, y, 0), np.full((400, 4), 0.25), classes)
    found = compare(y, coarse, fine, metric("f1"))
    assert found.verdict == "promote"
    assert found.low < found.effect < found.high


def test_groups_of_which_one_holds_nearly_all_rows_tell_nothing():
    errors = np.random.default_rng(0).normal(size=(2, 1_000))
    groups = np.where(np.arange(1_000) < 950, -1, np.arange(1_000))
    found = compare(np.zeros(1_000), off_by(errors[0]), off_by(errors[1]), metric("mae"), groups=groups)
    assert found.reason == "groups of unequal size are worth 1.1 equal ones; at least 5 are needed"


def difference(y, champion, challenger, name, groups=None):
    rivals = Rivals.of(y, champion, challenger, groups)
    return paired_difference.paired_difference(rivals, metric(name), 1_000, 0)


@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "f1"])
def test_the_error_over_rows_is_near_that_of_the_bootstrap(name):
    y, model = classified(np.random.default_rng(8), 2_000)
    found = difference(y, model(), model(), name)
    assert found.paired == pytest.approx(found.se, rel=0.1)


def test_errors_have_the_units_of_the_metric_also_where_both_models_err_alike():
    draw = np.random.default_rng(9)
    errors = draw.normal(size=300)
    other = draw.permutation(errors)
    one, ten = (difference(np.zeros(300), off_by(size * errors), off_by(size * other), "rmse") for size in (1, 10))
    assert ten.paired == pytest.approx(10 * one.paired)


def test_rows_that_repeat_within_a_group_are_no_more_evidence():
    errors = np.abs(np.random.default_rng(11).normal(size=(2, 100)))
    found = difference(
        np.zeros(500), *(off_by(np.repeat(each, 5)) for each in errors), "mae", np.repeat(np.arange(100), 5)
    )
    assert found.paired == pytest.approx(np.std(errors[1] - errors[0], ddof=1) / 10)


def test_a_metric_that_is_not_defined_keeps_the_champion():
    alike = Predictions(np.zeros(100), np.full((100, 2), 0.5), np.array([0, 1]))
    verdict = compare(np.zeros(100), alike, alike, metric("roc_auc"))
    assert (verdict.verdict, verdict.reason[:27]) == ("keep", "roc_auc of the champion is ")
