"""What the check of a drift report says."""

import numpy as np
import pandas as pd

from mlops_assets.assets.batch.drift import _drift_check
from mlops_assets.decisions.drift.batch_drift import Pair, drift


def test_the_reasons_of_an_unknown_stand_in_the_message_each_once():
    rng = np.random.default_rng(0)
    reference = pd.DataFrame({"a": rng.normal(size=400), "b": rng.normal(size=400), "c": ["x", "y"] * 200})
    batch = reference.drop(columns="b").assign(c=1.5)
    message = _drift_check(drift(reference, batch, ["a", "b", "c"], together=False)).message
    assert message == (
        "unknown: 2 of 3 entries: the batch has no such column (b); "
        "the reference holds text values, the batch numeric values (c)"
    )


def test_a_season_that_the_reference_holds_once_is_named_and_so_is_the_holdout():
    rng = np.random.default_rng(1)
    reference = pd.DataFrame({f"f{number}": rng.normal(size=8_760) for number in range(12)})
    times = (pd.date_range("2021-01-01", periods=8_760, freq="h"), pd.date_range("2022-06-01", periods=720, freq="h"))
    scores = (reference["f0"][-720:], reference["f1"][:720])
    said = Pair(
        name="prediction",
        kind="prediction",
        reference=scores[0],
        batch=scores[1],
        times=(times[0][-720:], times[1]),
        where="holdout",
    )
    report = drift(
        reference, reference[:720], list(reference), times=times, season=["month"], together=False, extra=[said]
    )
    why = "holds one June; two are needed to know how far one June is from another"
    assert _drift_check(report).message == (
        f"unknown: 13 of 13 entries: the reference {why} (f0, f1, f2, f3, f4, f5, f6, f7, ...)"
    )
    both = (times[0].append(times[0] - pd.Timedelta(days=365)).sort_values(), times[1])
    two_years = pd.DataFrame({"f0": rng.normal(size=17_520)})
    batch = pd.DataFrame({"f0": rng.normal(size=720)})
    found = drift(two_years, batch, ["f0"], times=both, season=["month"], extra=[said]).features[1]
    assert (found.verdict, found.note) == (
        "unknown",
        "100.0% of the batch's rows are of a season (month) that the holdout lacks",
    )


def test_a_drift_names_the_effects():
    rng = np.random.default_rng(2)
    reference, batch = (pd.DataFrame({"a": rng.normal(shift, size=400)}) for shift in (0, 2))
    assert _drift_check(drift(reference, batch, ["a"])).message.startswith("drift: 1 of 1 entries: a (effect 0.")


def test_an_entry_of_which_nothing_can_be_said_is_named_beside_the_verdict_of_the_others():
    rng = np.random.default_rng(3)
    reference, batch = (pd.DataFrame({"a": rng.normal(size=400)}) for _ in range(2))
    said = Pair(name="prediction", kind="prediction", reference=reference["a"][:20], batch=batch["a"], where="holdout")
    for rows, verdict in ((batch, "none of 1 entries drifted over 400 rows"), (batch + 2, "drift: 1 of 2 entries: a")):
        message = _drift_check(drift(reference, rows, ["a"], extra=[said])).message
        assert message.startswith(verdict)
        assert message.endswith(
            "; unknown: 20 values are too few in the reference; at least 50 are needed (prediction)"
        )
