"""The resamples of a comparison on an engine: the very numbers of this process."""

import numpy as np
import pytest

from mlops_assets.decisions.promotion import paired_difference
from mlops_assets.decisions.promotion.comparison import compare
from mlops_assets.decisions.promotion.guards import guards
from mlops_assets.modelling.engine import Here, Processes
from mlops_assets.modelling.metrics import metric
from mlops_assets.modelling.predictions import Predictions
from mlops_assets.statistics.groups import Groups
from mlops_assets.statistics.resampling import Blocks, in_parts

ROWS = 2_000


def scored(y, skill, digits):
    """Predictions whose probability follows the labels; few digits make ties."""
    positive = np.clip(np.random.default_rng(int(skill * 10)).normal(0.5 + skill * (y - 0.5), 0.3), 0, 1).round(digits)
    return Predictions((positive > 0.5).astype(int), np.column_stack([1 - positive, positive]), np.array([0, 1]))


@pytest.fixture
def any_size(monkeypatch):
    monkeypatch.setattr(paired_difference, "_MANY", 0)


@pytest.mark.parametrize("units", [Blocks(500, 1), Blocks(500, 7), Groups.of(np.arange(500) // 9)])
@pytest.mark.parametrize("size", [1, 7, 100, 1_000])
def test_parts_are_the_draws_of_one_generator(units, size):
    whole = np.concatenate(list(units.weights(230, seed=3)))
    parts = [np.concatenate(list(units.weights(*part))) for part in in_parts(units, 230, 3, size)]
    assert [len(part) for part in parts[:-1]] == [size] * (len(parts) - 1)
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "matthews_corrcoef"])
@pytest.mark.parametrize("digits", [1, 9])
@pytest.mark.parametrize("kind", ["rows", "blocks", "groups"])
def test_a_verdict_is_the_same_bit_for_bit(name, digits, kind, any_size):
    y = (np.random.default_rng(0).random(ROWS) < 0.4).astype(int)
    y = np.sort(y.reshape(-1, 40), axis=1).ravel() if kind == "blocks" else y
    rivals = (y, scored(y, 0.3, digits), scored(y, 0.4, digits), metric(name))
    options = {"resamples": 230, "seed": 5, "groups": np.arange(ROWS) // 20 if kind == "groups" else None}
    here = compare(*rivals, **options)
    assert here.unit == kind or (kind == "blocks" and here.unit == "rows")
    for engine in (Here(one_thread=True), Processes(2)):
        there = compare(*rivals, **options, engine=engine)
        np.testing.assert_array_equal(there.differences, here.differences)
        assert there.to_dict() == here.to_dict()


def test_guards_are_the_same(any_size):
    y = (np.random.default_rng(0).random(ROWS) < 0.4).astype(int)
    slices = {"first": np.arange(0, 900), "rest": np.arange(900, ROWS)}
    asked = (y, scored(y, 0.4, 9), scored(y, 0.3, 9), [(metric("average_precision"), 0.0)], slices, metric("roc_auc"))
    assert guards(*asked, resamples=230, engine=Processes(2)) == guards(*asked, resamples=230)


def test_only_what_takes_long_is_sent(monkeypatch):
    monkeypatch.setattr(paired_difference, "in_order", lambda *_: pytest.fail("sent to the engine"))
    y = (np.random.default_rng(0).random(ROWS) < 0.4).astype(int)
    compare(y, scored(y, 0.3, 9), scored(y, 0.4, 9), metric("roc_auc"), engine=Processes(2))
    assert paired_difference.takes_long(metric("roc_auc"), 1_000_000)
    assert not paired_difference.takes_long(metric("roc_auc"), 20_000)
    assert not paired_difference.takes_long(metric("rmse"), 10_000_000)
