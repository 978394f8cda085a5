import json
from dataclasses import asdict
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mlops_assets.decisions.drift.batch_drift import Pair
from mlops_assets.decisions.drift.batch_drift import drift as drift_and_together
from mlops_assets.decisions.drift.domain_classifier import together_entry
from mlops_assets.decisions.drift.season import match_rows

drift = partial(drift_and_together, together=False)
DRAW = np.random.default_rng(0)
NAMES = [f"f{number}" for number in range(20)]


def normal(rows):
    return pd.DataFrame(DRAW.normal(size=(rows, 20)), columns=NAMES)


def mixed(rows, rainy=0.3):
    weather = np.where(DRAW.random(rows) < rainy, "rain", "sun")
    return pd.DataFrame({"weather": weather, "flag": DRAW.random(rows) < 0.5, "temp": DRAW.normal(size=rows)})


def pair(name, kind, reference, batch, times=None):
    return Pair(name=name, kind=kind, reference=reference, batch=batch, times=times)


def entry(report, name):
    return next(each for each in report.features if each.feature == name)


def test_a_shift_of_half_a_standard_deviation_is_found_in_its_feature_alone():
    reference = normal(3_000)
    for _ in range(30):
        report = drift(reference, normal(1_000).assign(f3=lambda frame: frame["f3"] + 0.5), NAMES)
        assert [each.feature for each in report.features if each.verdict == "drift"] == ["f3"]
        assert (report.verdict, report.share, report.rows_batch) == ("drift", 0.05, 1_000)
    # two normals that are d apart differ by 2 Phi(d / 2) - 1 at most
    assert entry(report, "f3").effect == pytest.approx(0.197, abs=0.05)


def test_a_small_effect_is_told_as_such_and_one_below_the_least_is_no_drift():
    reference = pd.DataFrame({"x": DRAW.normal(size=50_000)})
    report = drift(reference, reference + 0.1, ["x"])
    assert report.features[0].verdict == "drift"
    assert report.features[0].note == "a small effect"
    strict = drift(reference, reference + 0.1, ["x"], min_effect=0.1)
    assert (strict.verdict, strict.features[0].p_adjusted < 1e-9, strict.p) == ("no drift", True, 1.0)


def test_categories_booleans_and_codes_are_compared_by_their_shares():
    reference, names = mixed(5_000), ["weather", "flag", "temp"]
    assert drift(reference, mixed(1_000), names).verdict == "no drift"
    report = drift(reference, mixed(1_000, rainy=0.6), names)
    weather = entry(report, "weather")
    assert (weather.verdict, weather.kind, weather.test) == ("drift", "categorical", "Fisher's exact")
    assert weather.effect == pytest.approx(0.3, abs=0.05)
    assert entry(report, "flag").verdict == "no drift"
    codes = drift(reference.assign(flag=reference["flag"].astype(int)), mixed(1_000), ["flag"])
    assert codes.features[0].verdict == "no drift"


@pytest.mark.fault(9)
def test_a_category_never_seen_is_counted():
    batch = mixed(1_000)
    batch.loc[DRAW.permutation(1_000)[:250], "weather"] = "snow"
    weather = entry(drift(mixed(100_000), batch, ["weather"]), "weather")
    assert (weather.verdict, weather.note) == (
        "drift",
        "25.0% of the rows are of a category that the reference lacks",
    )
    assert weather.effect == pytest.approx(0.25, abs=0.03)


def test_missing_values_are_an_entry_of_their_own():
    batch = mixed(1_000)
    batch.loc[DRAW.permutation(1_000)[:400], "temp"] = None
    report = drift(mixed(2_000), batch, ["weather", "temp"])
    assert [each.feature for each in report.features] == ["weather", "temp", "temp (missing)"]
    missing = report.features[2]
    assert (missing.verdict, missing.kind, missing.effect) == ("drift", "missing share", 0.4)
    assert missing.note == "0.0% missing in the reference, 40.0% in the batch"


@pytest.mark.fault(6)
@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda frame: frame.drop(columns="temp"), "the batch has no such column"),
        (lambda frame: frame.assign(temp="warm"), "the reference holds numeric values, the batch text values"),
        (lambda frame: frame.assign(temp=["7", *frame["temp"][1:]]), "the reference holds numeric values"),
        (lambda frame: frame.head(49), "49 values are too few in the batch; at least 50 are needed"),
        (lambda frame: frame.head(0), "0 values are too few in the batch"),
    ],
)
def test_what_cannot_be_compared_is_unknown_never_no_drift(change, note):
    report = drift(mixed(500), change(mixed(500)), ["weather", "temp"])
    unknown = [each for each in report.features if each.verdict == "unknown"]
    assert report.verdict == "unknown"
    assert note in unknown[-1].note
    json.dumps(report.table(), allow_nan=False)


def test_texts_that_hardly_repeat_are_compared_by_their_length():
    names = [pd.DataFrame({"id": [f"{'x' * (row % 30)}{side}{row:04}" for row in range(900)]}) for side in "ab"]
    length = drift(names[0].sample(frac=1, random_state=0), names[1].sample(frac=1, random_state=1), ["id"]).features[0]
    assert (length.feature, length.kind, length.verdict, length.effect) == ("id (length)", "numeric", "no drift", 0.0)
    assert length.note == "1,800 texts are too rare to be compared; their lengths are compared"
    longer = names[1].assign(id="more " + names[1]["id"])
    assert drift(names[0], longer, ["id"]).features[0].verdict == "drift"


def test_a_moment_is_compared_by_its_hour_and_weekday_never_itself():
    minutes = DRAW.integers(0, 364, 4_000) * 1_440 + DRAW.integers(480, 1_080, 4_000)  # from 8 to 18 o'clock
    old = pd.DataFrame({"at": pd.Timestamp("2024-01-01") + pd.to_timedelta(minutes, unit="min")})
    new = pd.DataFrame({"at": old["at"].sample(1_000, random_state=0) + pd.Timedelta("364D")})
    report = drift(old, new, ["at"])
    assert [(each.feature, each.kind, each.verdict) for each in report.features] == [
        ("at (hour)", "categorical", "no drift"),
        ("at (weekday)", "categorical", "no drift"),
    ]
    late = drift(old, new.assign(at=new["at"] + pd.Timedelta("3h")), ["at"])
    assert entry(late, "at (hour)").verdict == "drift"


def test_rare_categories_and_few_missing_values_keep_their_level():
    found = []
    for _ in range(150):
        sides = [pd.DataFrame({"x": DRAW.choice(40, size=rows).astype(str)}) for rows in (20_000, 200)]
        for side in sides:
            side.loc[DRAW.random(len(side)) < 0.001, "x"] = None
        found += [each.p for each in drift(*sides, ["x"]).features]
    assert np.mean(np.array(found) < 0.05) <= 0.07
    assert np.sum(np.array(found) < 0.001) <= 2


def test_predictions_and_targets_are_tested_like_features():
    reference, batch = normal(2_000), normal(500)
    known = np.where(DRAW.random(500) < 0.5, DRAW.normal(size=500), np.nan)
    two_months = (
        pd.date_range("2024-01-01", periods=300, freq="h"),
        pd.date_range("2024-02-01", periods=400, freq="h"),
    )
    pairs = [
        pair("prediction", "prediction", DRAW.normal(size=2_000), DRAW.normal(1.0, size=500)),
        pair("target", "target", DRAW.normal(size=2_000), known),
        pair("of other rows", "prediction", DRAW.normal(size=300), DRAW.normal(size=400)),
        pair("of other seasons", "prediction", DRAW.normal(size=300), DRAW.normal(size=400), two_months),
    ]
    months = tuple(pd.date_range("2024-03-01", periods=rows, freq="min") for rows in (2_000, 500))
    report = drift(reference, batch, NAMES, extra=pairs, season=["month"], times=months)
    assert (entry(report, "prediction").kind, entry(report, "prediction").verdict) == ("prediction", "drift")
    assert entry(report, "prediction").effect == pytest.approx(0.38, abs=0.06)
    # labels still to come are no missing share
    assert [each.feature for each in report.features[20:24]] == [each.name for each in pairs]
    assert entry(report, "target").verdict == entry(report, "of other rows").verdict == "no drift"
    assert entry(report, "of other seasons").note.startswith("100.0% of the batch's rows are of a season (month)")
    calm = drift(reference, batch, NAMES, extra=pairs[1:], season=["month"], times=months)
    assert calm.verdict == "no drift"  # what is unknown of predictions alone does not make the batch unknown


def test_weights_follow_importance_within_bounds_and_have_mean_one():
    importance = {"f0": 100.0, "f1": 1.0, "f2": -3.0}
    report = drift(normal(500), normal(500), NAMES[:4], importance=importance)
    weights = np.array([each.weight for each in report.features])
    mean = (100 + 1 + 0) / 3
    raw = np.array([100 / mean, 0.5, 0.5, 1.0])
    assert weights == pytest.approx(raw / raw.mean())
    reference, batch = normal(2_000), normal(1_000)
    batch["f0"] += 0.2
    plain, favoured = drift(reference, batch, NAMES), drift(reference, batch, NAMES, importance=importance)
    assert entry(favoured, "f0").p_adjusted < entry(plain, "f0").p_adjusted


def test_adjusted_p_is_twice_that_of_benjamini_and_hochberg():
    report = drift(normal(2_000), normal(1_000).assign(f0=lambda frame: frame["f0"] + 0.3), NAMES, min_effect=0.0)
    adjusted = 2 * stats.false_discovery_control([each.p for each in report.features])
    assert [each.p_adjusted for each in report.features] == pytest.approx(np.minimum(adjusted, 1.0))
    assert report.p == pytest.approx(adjusted.min())


def test_the_statistic_is_that_of_scipy():
    old, new = DRAW.normal(size=3_000).round(1), DRAW.normal(0.1, size=700).round(1)
    for left, right in ((old, new), (new, old)):
        found = drift(pd.DataFrame({"x": left}), pd.DataFrame({"x": right}), ["x"]).features[0]
        expected = stats.ks_2samp(left, right, method="asymp")
        assert (found.effect, found.p) == (pytest.approx(expected.statistic), pytest.approx(expected.pvalue))


def test_only_all_features_together_show_that_a_correlation_turned():
    draw = np.random.default_rng(1)
    old, new = (
        draw.multivariate_normal([0, 0], [[1, sign], [sign, 1]], rows) for sign, rows in ((0.8, 5_000), (-0.8, 1_000))
    )
    frames = [pd.DataFrame(side, columns=["a", "b"]) for side in (old, new)]
    report = drift_and_together(*frames, ["a", "b"])
    assert [each.verdict for each in report.features] == ["no drift", "no drift", "drift"]
    together = report.features[2]
    assert (together.feature, together.kind, together.test) == (
        "all features together",
        "together",
        "domain classifier",
    )
    assert together.effect > 0.5


def test_two_evaluations_are_equal_to_the_byte():
    reference, batch = mixed(2_000), mixed(1_000, rainy=0.35)
    times = tuple(pd.date_range("2024-01-01", periods=len(side), freq="h") for side in (reference, batch))
    found = [
        json.dumps(
            asdict(
                drift_and_together(
                    *(reference, batch, ["weather", "flag", "temp"]),
                    times=times,
                    season=("hour",),
                    importance={"temp": 2.0},
                )
            ),
            allow_nan=False,
        )
        for _ in range(2)
    ]
    assert found[0] == found[1]


def test_an_all_null_column_is_unknown_and_its_missing_share_drifts():
    report = drift(mixed(500), mixed(500).assign(temp=np.nan), ["temp"])
    assert [each.verdict for each in report.features] == ["unknown", "drift"]
    assert report.features[0].note.startswith("all values are missing in the batch")
    assert report.verdict == "drift"
    assert [row["verdict"] for row in report.table()] == ["drift", "unknown"]


@pytest.mark.fault(10)
def test_infinite_values_do_not_stop_the_rest():
    batch = mixed(500)
    batch.loc[0, "temp"] = np.inf
    assert drift(mixed(500), batch, ["temp"]).verdict == "no drift"


def test_columns_without_values_leave_the_others_to_be_judged_together():
    reference, batch = normal(2_000), normal(500)
    later = pd.Series(np.where(np.arange(2_000) < 1_200, np.nan, 1.0))  # a feature that began halfway through
    empty = reference.assign(nothing=np.nan, objects=None, began=later)
    report = drift(
        empty,
        batch.assign(nothing=np.nan, objects=None, began=np.nan),
        [*NAMES, "nothing", "objects", "began"],
        together=True,
    )
    assert entry(report, "all features together").verdict == "no drift"
    assert entry(report, "nothing").note.startswith("all values are missing in the reference")
    nothing = pd.DataFrame({"a": [np.nan] * 300, "b": [np.nan] * 300})
    assert drift(nothing, nothing, ["a", "b"], together=True).verdict == "unknown"


def test_booleans_with_gaps_are_compared_with_booleans_without():
    whole = pd.DataFrame({"flag": DRAW.random(2_000) < 0.3})
    holed = pd.DataFrame({"flag": (DRAW.random(500) < 0.3).astype(object)})
    holed.loc[3, "flag"] = None
    assert [each.verdict for each in drift(whole, holed, ["flag"]).features] == ["no drift", "no drift"]


def test_few_rows_of_many_moments_are_still_compared():
    times = [pd.DataFrame({"at": pd.date_range("2024-01-01", periods=rows, freq="h")}) for rows in (2_000, 96)]
    assert {each.feature: each.verdict for each in drift(*times, ["at"]).features}["at (hour)"] == "no drift"
    evening = times[1][times[1]["at"].dt.hour >= 12].reset_index(drop=True)
    found = entry(drift(times[0], pd.concat([evening, evening]), ["at"]), "at (hour)")
    assert found.verdict == "drift" and found.effect == pytest.approx(0.5, abs=0.02)


def test_a_season_without_times_is_unknown():
    report = drift(normal(500), normal(500), NAMES, season=["month"])
    assert report.verdict == "unknown"
    assert report.features[0].note == "the reference has no times to match the season by: train again"


def test_whole_numbers_among_others_in_a_column_of_objects_are_numbers():
    reference = pd.DataFrame({"x": DRAW.normal(size=500)})
    some_whole = [number if row % 5 else int(number) for row, number in enumerate(reference["x"])]
    found = drift(reference, pd.DataFrame({"x": pd.Series(some_whole, dtype=object)}), ["x"]).features[0]
    assert (found.kind, found.verdict) == ("numeric", "no drift")


def test_of_more_than_a_hundred_features_together_the_important_ones_are_looked_at():
    names = [f"f{number:03}" for number in range(101)]
    reference, batch = (pd.DataFrame(DRAW.normal(size=(400, 101)).round(1), columns=names) for _ in range(2))
    batch["f100"] += 2
    rows = match_rows((np.arange(400), np.arange(400)), None, ())
    found = [together_entry(reference, batch, names, rows, known, 0) for known in ({}, {"f100": 1.0})]
    assert found[0].p > 0.01 and found[1].p < 1e-9


def test_features_together_show_another_time_of_the_day():
    days = pd.to_timedelta(DRAW.integers(0, 300, 1_000), unit="D") + pd.Timestamp("2024-01-01")
    early = pd.DataFrame({"x": DRAW.normal(size=1_000), "at": days + pd.to_timedelta("9h")})
    late = early.assign(at=early["at"] + pd.to_timedelta("7h"))
    found = [drift(early, batch, ["x", "at"], together=True) for batch in (early, late)]
    assert [entry(each, "all features together").verdict for each in found] == ["no drift", "drift"]


def test_a_missing_text_is_not_the_text_none():
    draw = np.random.default_rng(2)
    rows = [draw.random(side) < 0.5 for side in (2_000, 500)]
    frames = [pd.DataFrame({"x": draw.normal(size=len(side)), "text": np.where(side, "None", "a")}) for side in rows]
    missing = frames[1].assign(text=frames[1]["text"].where(~rows[1], None))
    together = [drift(frames[0], batch, ["x", "text"], together=True) for batch in (frames[1], missing)]
    assert [entry(each, "all features together").verdict for each in together] == ["no drift", "drift"]


def test_a_batch_is_known_where_only_all_features_together_are_not():
    frames = [pd.DataFrame(DRAW.normal(size=(300, 2)), columns=["a", "b"]) for _ in range(2)]
    for frame in frames:
        frame[:160] = np.nan
    report = drift(*frames, ["a", "b"], together=True)
    together = entry(report, "all features together")
    assert (together.verdict, together.kind) == ("unknown", "together")
    assert report.verdict == "no drift"


def test_categories_that_are_frequent_in_the_reference_by_chance_are_no_drift_of_all_features_together():
    def sample(seed):
        random = np.random.default_rng(seed)
        shops = random.choice([f"shop {number}" for number in range(200)], 10_000)
        return pd.DataFrame({"shop": shops, "x": random.normal(size=10_000)})

    reference = sample(0)
    reports = [drift_and_together(reference, sample(seed), ["shop", "x"]) for seed in range(1, 7)]
    together = [entry for report in reports for entry in report.features if entry.kind == "together"]
    assert [entry.verdict for entry in together] == ["no drift"] * 6
    assert max(entry.effect for entry in together) < 0.05
