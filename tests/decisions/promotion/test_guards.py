import numpy as np
import pandas as pd
import pytest

from mlops_assets.decisions.promotion.comparison import compare
from mlops_assets.decisions.promotion.guards import apply_guards, guards
from mlops_assets.modelling.metrics import metric
from mlops_assets.modelling.metrics.intervals import rows_by_value
from mlops_assets.modelling.predictions import Predictions

RMSE, MAE = metric("rmse"), metric("mae")


def pair(draw, rows=3_000, better=0.8):
    """Labels 0 and two models with normal errors, the challenger's `better` times as large."""
    return np.zeros(rows), Predictions(draw.normal(size=rows)), Predictions(better * draw.normal(size=rows))


def test_a_slice_that_got_much_worse_blocks_a_promotion():
    draw = np.random.default_rng(0)
    y, champion, challenger = pair(draw)
    place = pd.Series(np.arange(3_000) % 30).map(lambda number: f"s{number:02d}")
    challenger.value[place == "s07"] *= 4
    slices = {f"place {name}": rows for name, rows in rows_by_value(place)}
    verdict = compare(y, champion, challenger, RMSE)
    assert verdict.verdict == "promote"
    found = guards(y, champion, challenger, [(MAE, 0.0)], slices, RMSE)
    assert len(found) == 31 and found[0].name == "mae"
    assert [each.name for each in found if each.verdict == "worse"] == ["rmse of place s07"]
    worst = next(each for each in found if each.verdict == "worse")
    rows = slices["place s07"]
    assert worst.rows == 100 and worst.p < worst.p_adjusted < 1e-6
    assert worst.effect == pytest.approx(RMSE.function(y[rows], champion.take(rows)) - worst.challenger)
    stopped = apply_guards(verdict, found)
    assert stopped.verdict == "keep"
    assert stopped.reason.startswith("got worse: rmse of place s07 (") and "Otherwise: rmse improves" in stopped.reason
    assert (stopped.effect, stopped.low, stopped.p) == (verdict.effect, verdict.low, verdict.p)


def test_nothing_that_got_worse_leaves_the_verdict_alone():
    y, champion, challenger = pair(np.random.default_rng(1))
    verdict = compare(y, champion, challenger, RMSE)
    found = guards(y, champion, challenger, [(MAE, 0.0)], {"first": np.arange(500)}, RMSE)
    assert {each.verdict for each in found} == {"not worse"}
    assert apply_guards(verdict, found) is verdict
    kept = compare(y, challenger, champion, RMSE)
    assert apply_guards(kept, guards(y, challenger, champion, [(MAE, 0.0)], {}, RMSE)) is kept


def test_a_tolerated_loss_is_no_loss():
    y, champion, challenger = pair(np.random.default_rng(2), better=1.2)
    strict, lenient = (guards(y, champion, challenger, [(RMSE, by)], {}, RMSE)[0] for by in (0.0, 0.3))
    assert (strict.verdict, lenient.verdict) == ("worse", "not worse")
    assert strict.effect == lenient.effect == pytest.approx(-0.2, abs=0.05)
    assert "tolerated 0.3" in lenient.note


def test_what_cannot_be_judged_says_so_and_blocks_nothing():
    draw = np.random.default_rng(3)
    y = np.r_[np.zeros(100), draw.integers(0, 2, 400)]
    positive = draw.random(500)
    said = Predictions((positive > 0.5).astype(int), np.column_stack([1 - positive, positive]), np.array([0, 1]))
    slices = {"few": np.arange(29), "one class": np.arange(100)}
    few, one_class = guards(y, said, said, [], slices, metric("roc_auc"))
    assert (few.verdict, few.note) == ("too few rows", "29 rows are too few; at least 30 are needed")
    assert one_class.verdict == "too few rows" and "roc_auc of the champion is nan" in one_class.note
    assert np.isnan([few.p_adjusted, one_class.p_adjusted]).all()
    few_groups = guards(y, said, said, [(metric("accuracy"), 0.0)], {}, metric("accuracy"), groups=np.arange(500) % 9)
    assert few_groups[0].note == "9 groups are too few to compare on; at least 10 are needed"


def test_a_metric_that_only_the_challenger_has_not_is_worse():
    y, champion = np.ones(100), Predictions(np.full(100, 1.5))
    challenger = Predictions(np.full(100, -2.0))
    only = guards(y, champion, challenger, [(metric("neg_mean_squared_log_error"), 0.0)], {}, RMSE)[0]
    assert (only.verdict, only.p_adjusted) == ("worse", 0.0)
    assert np.isfinite(only.champion) and np.isnan(only.challenger)


def test_guards_over_equal_models_seldom_stop_one():
    stopped = 0
    for seed in range(200):
        y, champion, challenger = pair(np.random.default_rng([5, seed]), rows=1_000, better=1.0)
        slices = {str(number): np.arange(number, 1_000, 5) for number in range(5)}
        found = guards(y, champion, challenger, [(MAE, 0.0)], slices, RMSE, resamples=200)
        stopped += any(each.verdict == "worse" for each in found)
    assert stopped / 200 <= 0.05 + 2 * (0.05 * 0.95 / 200) ** 0.5


def test_the_same_model_is_not_worse_than_itself():
    y, champion, _ = pair(np.random.default_rng(6), rows=100)
    same = guards(y, champion, champion, [(MAE, 0.0)], {"first": np.arange(50)}, RMSE)
    assert [(each.verdict, each.effect, each.p_adjusted) for each in same] == [("not worse", 0.0, 1.0)] * 2


def test_a_constant_loss_is_worse_by_more_than_is_tolerated_or_not():
    y, champion, challenger = np.zeros(100), Predictions(np.full(100, 1.0)), Predictions(np.full(100, 1.2))
    strict, lenient = (guards(y, champion, challenger, [(MAE, by)], {}, RMSE)[0] for by in (0.1, 0.3))
    assert (strict.verdict, lenient.verdict) == ("worse", "not worse")


def test_a_scorer_of_sklearn_guards_too():
    y, champion, challenger = pair(np.random.default_rng(7), rows=300, better=2.0)
    scorer = metric("neg_median_absolute_error")
    (worse,) = guards(y, champion, challenger, [(scorer, 0.0)], {}, RMSE)
    (better,) = guards(y, challenger, champion, [(scorer, 0.0)], {}, RMSE)
    assert (worse.verdict, better.verdict) == ("worse", "not worse")
    assert worse.champion == pytest.approx(-np.median(np.abs(champion.value)))
    assert worse.challenger == pytest.approx(-np.median(np.abs(challenger.value)))
