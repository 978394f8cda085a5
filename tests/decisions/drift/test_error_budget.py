"""False alarms of a period stay within the budget; LORD++ is the reference for the share of false ones."""

import numpy as np
import pytest

from mlops_assets.decisions.drift.error_budget import allowed_level

WINDOW = 90


def simulated(draw, batches, drifting, alpha=0.01, allowed=1.0, window=WINDOW):
    """Alarms and which batches really drifted, the level of each batch from the window before it."""
    alarms = np.zeros(batches, dtype=bool)
    real = draw.random(batches) < drifting
    for at in range(batches):
        before = alarms[max(0, at - window) : at]
        level = allowed_level(alpha, allowed, window, int(before.sum())).value
        p = 10.0 ** -draw.uniform(2, 12) if real[at] else draw.random()
        alarms[at] = p < level
    return alarms, real


def lord_plus_plus(p_values, alpha=0.05):
    """LORD++ of Ramdas, Yang, Wainwright & Jordan (2017), with the sequence of Javanmard & Montanari (2018)."""
    length = np.arange(1, len(p_values) + 1)
    gamma = 0.0722 * np.log(np.maximum(length, 2)) / (length * np.exp(np.sqrt(np.log(length))))
    gamma /= gamma.sum()
    start, rejected = alpha / 2, []
    for at, p in enumerate(p_values):
        level = gamma[at] * start
        for number, when in enumerate(rejected):
            level += (alpha - start if number == 0 else alpha) * gamma[at - when - 1]
        if p < level:
            rejected.append(at)
    return np.isin(np.arange(len(p_values)), rejected)


def test_false_alarms_of_a_window_stay_within_the_budget():
    draw = np.random.default_rng(0)
    for allowed in (0.2, 0.5):
        alarms = np.concatenate([simulated(draw, 900, 0.0, allowed=allowed)[0] for _ in range(40)])
        assert alarms.sum() / len(alarms) * WINDOW == pytest.approx(allowed, rel=0.35)
        assert alarms.sum() / len(alarms) * WINDOW <= allowed * 1.2


@pytest.mark.slow
def test_false_alarms_of_a_window_stay_within_the_budget_measured_finely():
    draw = np.random.default_rng(1)
    alarms = np.concatenate([simulated(draw, 9_000, 0.0, allowed=0.5)[0] for _ in range(100)])
    assert alarms.mean() * WINDOW <= 0.5 * 1.03


def test_few_alarms_are_false_under_real_drift_as_with_lord_plus_plus():
    draw = np.random.default_rng(2)
    ours, theirs = [], []
    for _ in range(20):
        alarms, real = simulated(draw, 900, 0.1, allowed=0.5)
        ours.append((alarms & ~real).sum() / max(alarms.sum(), 1))
        assert (alarms & real).sum() / real.sum() > 0.8
        p_values = np.where(real, 10.0 ** -draw.uniform(2, 12, 900), draw.random(900))
        found = lord_plus_plus(p_values)
        theirs.append((found & ~real).sum() / max(found.sum(), 1))
    assert np.mean(ours) <= 0.1
    assert np.mean(theirs) <= 0.05


def test_the_level_says_why():
    tight = allowed_level(0.01, 1, 900, 0, "90D")
    assert tight.value == pytest.approx(0.95 / 900)
    assert tight.reason == "alarm below p 0.0011: 1 false alarm in 90D over 900 batches"
    earned = allowed_level(0.01, 2, 900, 4, "90D")
    assert earned.value == pytest.approx((0.95 * 2 + 0.05 * 4) / 900)
    assert earned.reason == "alarm below p 0.0023: 2 false alarms in 90D over 900 batches, 4 alarms before"


def test_the_level_is_never_above_alpha():
    few = allowed_level(0.01, 1, 3, 0, "90D")
    assert (few.value, few.reason) == (0.01, "alarm below p 0.01: 3 batches in 90D stay within 1 false alarm")
    assert allowed_level(0.01, 1, 0, 0).value == 0.01
    assert allowed_level(0.01, 0, 10, 0).value == 0.0
