import numpy as np
import pandas as pd
import pytest

from mlops_assets.errors import TrainingError
from mlops_assets.modelling.metrics.intervals import by_slice, intervals, rows_by_value
from mlops_assets.modelling.predictions import Predictions


def noisy(rows: int, seed: int = 0) -> tuple[np.ndarray, Predictions]:
    random = np.random.default_rng(seed)
    y = random.normal(size=rows)
    return y, Predictions(y + random.normal(size=rows))


def test_an_interval_holds_the_truth_as_often_as_it_says():
    held = []
    for seed in range(200):
        found = intervals(*noisy(200, seed), ["rmse"], resamples=300)["rmse"]
        held.append(found.low <= 1.0 <= found.high)
    assert 0.90 <= np.mean(held) <= 0.99


def test_width_is_that_of_theory_for_means_and_for_other_metrics():
    y, said = noisy(1_000)
    found = intervals(y, said, ["mae", "r2"])
    errors = np.abs(said.value - y)
    assert found["mae"].value == pytest.approx(errors.mean())
    assert found["mae"].high - found["mae"].low == pytest.approx(3.92 * errors.std() / 1_000**0.5, rel=0.1)
    assert found["r2"].low < found["r2"].value < found["r2"].high


def test_a_sample_of_the_rows_gives_the_width_of_all():
    y, said = noisy(8_000)
    whole, part = intervals(y, said, ["mae"])["mae"], intervals(y, said, ["mae"], max_rows=1_000)["mae"]
    assert part.value == whole.value
    assert part.high - part.low == pytest.approx(whole.high - whole.low, rel=0.25)


def test_same_seed_same_interval():
    y, said = noisy(300)
    assert intervals(y, said, ["rmse", "r2"], seed=4) == intervals(y, said, ["rmse", "r2"], seed=4)
    assert intervals(y, said, ["rmse"], seed=4) != intervals(y, said, ["rmse"], seed=5)


def test_what_cannot_be_known_is_nan():
    found = intervals(np.ones(1), Predictions(np.zeros(1)), ["mae"])["mae"]
    assert found.value == 1.0 and np.isnan([found.low, found.high]).all()
    same = Predictions(np.zeros(9), np.full((9, 2), 0.5), np.array([0, 1]))
    assert np.isnan(intervals(np.zeros(9), same, ["roc_auc"])["roc_auc"].low)


def test_slices_by_value_and_by_quartile():
    rows = 200
    y, said = np.zeros(rows), Predictions(np.arange(rows) % 4.0)
    slices = pd.DataFrame(
        {
            "remainder": np.arange(rows) % 4,
            "place": np.arange(rows) * 1.0,
            "kind": [*["b"] * 190, *["a"] * 8, None, None],
        }
    )
    found = by_slice(y, said, slices, ["mae"])
    assert list(found.columns) == ["slice", "value", "rows", "mae", "note"]
    by_value = found[found["slice"] == "remainder"]
    assert by_value[["value", "rows", "mae"]].to_numpy().tolist() == [
        ["0", 50, 0],
        ["1", 50, 1],
        ["2", 50, 2],
        ["3", 50, 3],
    ]
    quartiles = found[found["slice"] == "place"]
    assert quartiles["value"].tolist()[0] == "0 to 49.75" and quartiles["rows"].tolist() == [50] * 4
    kinds = found[found["slice"] == "kind"].set_index("value")
    assert kinds["rows"].to_dict() == {"a": 8, "b": 190, "(missing)": 2}
    assert kinds["note"].to_dict() == {"a": "too few rows", "b": "", "(missing)": "too few rows"}
    assert np.isnan(kinds.loc["a", "mae"])


def test_slices_with_many_values_are_bounded():
    y, said = noisy(400)
    found = by_slice(
        y, said, pd.DataFrame({"user": [f"u{number % 100}" for number in range(400)]}), ["mae"], min_rows=1
    )
    assert len(found) == 51
    assert found.iloc[-1][["value", "rows"]].tolist() == ["(50 others)", 200]
    with pytest.raises(TrainingError, match="slices have 3 rows, the labels 400"):
        by_slice(y, said, pd.DataFrame({"a": [1, 2, 3]}), ["mae"])


def test_rankings_and_scorers_have_the_interval_of_theory():
    random = np.random.default_rng(2)
    y = random.integers(0, 2, 600)
    positive = 1 / (1 + np.exp(-(2 * y - 1) - random.normal(size=600)))
    said = Predictions((positive > 0.5).astype(int), np.column_stack([1 - positive, positive]), np.array([0, 1]))
    found = intervals(y, said, ["roc_auc", "accuracy", "f1", "balanced_accuracy"], resamples=1_000)
    area = found["roc_auc"].value
    # Hanley & McNeil (1982)
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    pairs = y.sum() * (600 - y.sum())
    variance = (area * (1 - area) + (y.sum() - 1) * (one - area**2) + (599 - y.sum()) * (two - area**2)) / pairs
    assert found["roc_auc"].high - found["roc_auc"].low == pytest.approx(3.92 * variance**0.5, rel=0.15)
    accuracy = found["accuracy"]
    spread = (accuracy.value * (1 - accuracy.value) / 600) ** 0.5
    for name in ("accuracy", "balanced_accuracy", "f1"):
        assert found[name].high - found[name].low == pytest.approx(3.92 * spread, rel=0.2)


def test_rows_by_value_gives_positions():
    found = rows_by_value(pd.Series(["b", "a", None, "b"]))
    assert [(name, rows.tolist()) for name, rows in found] == [("a", [1]), ("b", [0, 3]), ("(missing)", [2])]


def test_quartiles_of_great_numbers_have_names_of_their_own():
    from mlops_assets.modelling.metrics.intervals import rows_by_value

    found = rows_by_value(pd.Series(1_234_000 + np.arange(400)))
    assert [name for name, _ in found][:2] == ["1.234e+06 to 1.2341e+06", "1.2341e+06 to 1.2342e+06"]
    assert len({name for name, _ in found}) == 4
    both = rows_by_value(pd.Series(["(missing)", None, "a"]))
    assert [name for name, _ in both] == ["(missing)", "a", "(no value)"]
