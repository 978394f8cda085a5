import json

import numpy as np
import pandas as pd
import pytest

from mlops_assets.decisions.drift import drift

DRAW = np.random.default_rng(0)
NAMES = [f"f{number}" for number in range(20)]


def normal(rows):
    return pd.DataFrame(DRAW.normal(size=(rows, 20)), columns=NAMES)


def mixed(rows, rainy=0.3):
    weather = np.where(DRAW.random(rows) < rainy, "rain", "sun")
    return pd.DataFrame({"weather": weather, "flag": DRAW.random(rows) < 0.5, "temp": DRAW.normal(size=rows)})


def entry(report, name):
    return next(each for each in report.features if each.feature == name)


def test_null_batches_raise_no_alarm():
    reference = normal(3_000)
    reports = [drift(reference, normal(1_000), NAMES, min_effect=0.0) for _ in range(100)]
    assert sum(report.verdict == "drift" for report in reports) <= 4  # 1% expected without an effect size
    assert all(drift(reference, normal(1_000), NAMES).verdict == "no drift" for _ in range(100))


def test_a_shift_of_half_a_standard_deviation_is_found_in_its_feature_alone():
    reference = normal(3_000)
    for _ in range(30):
        report = drift(reference, normal(1_000).assign(f3=lambda frame: frame["f3"] + 0.5), NAMES)
        assert [each.feature for each in report.features if each.verdict == "drift"] == ["f3"]
        assert (report.verdict, report.share, report.rows_batch) == ("drift", 0.05, 1_000)
    # two normals that are d apart differ by 2 Phi(d / 2) - 1 at most
    assert entry(report, "f3").effect == pytest.approx(0.197, abs=0.05)


def test_an_effect_that_does_not_matter_is_no_drift():
    reference = pd.DataFrame({"x": DRAW.normal(size=50_000)})
    report = drift(reference, reference + 0.1, ["x"])
    assert (report.verdict, report.features[0].p_adjusted < 1e-9) == ("no drift", True)


def test_categories_booleans_and_codes_are_compared_by_their_shares():
    reference, names = mixed(5_000), ["weather", "flag", "temp"]
    assert drift(reference, mixed(1_000), names).verdict == "no drift"
    report = drift(reference, mixed(1_000, rainy=0.6), names)
    weather = entry(report, "weather")
    assert (weather.verdict, weather.kind, weather.test) == ("drift", "categorical", "chi-squared")
    assert weather.effect == pytest.approx(0.3, abs=0.05)
    assert entry(report, "flag").verdict == "no drift"
    codes = drift(reference.assign(flag=reference["flag"].astype(int)), mixed(1_000), ["flag"])
    assert codes.features[0].verdict == "no drift"


def test_a_category_never_seen_is_counted():
    batch = mixed(1_000)
    batch.loc[:249, "weather"] = "snow"
    weather = entry(drift(mixed(100_000), batch, ["weather"]), "weather")
    assert (weather.verdict, weather.note) == ("drift", "25.0% of the rows are of a category never seen")
    assert weather.effect == pytest.approx(0.25, abs=0.03)


def test_missing_values_are_an_entry_of_their_own():
    batch = mixed(1_000)
    batch.loc[:399, "temp"] = None
    report = drift(mixed(2_000), batch, ["weather", "temp"])
    assert [each.feature for each in report.features] == ["weather", "temp", "temp (missing)"]
    missing = report.features[2]
    assert (missing.verdict, missing.kind, missing.effect) == ("drift", "missing share", 0.4)
    assert missing.note == "0.0% missing in the reference, 40.0% in the batch"


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
    json.dumps(report.to_dict(), allow_nan=False)


def test_identities_are_unknown():
    names = [pd.DataFrame({"id": [f"{side}-{row}" for row in range(500)]}) for side in "ab"]
    report = drift(*names, ["id"])
    assert (report.verdict, report.features[0].note) == ("unknown", "1,000 categories, each too rare to be compared")


def test_an_all_null_column_is_unknown_and_its_missing_share_drifts():
    report = drift(mixed(500), mixed(500).assign(temp=np.nan), ["temp"])
    assert [each.verdict for each in report.features] == ["unknown", "drift"]
    assert report.features[0].note.startswith("all values are missing in the batch")
    assert report.verdict == "drift"
    assert [row["verdict"] for row in report.table()] == ["drift", "unknown"]


def test_infinite_values_do_not_stop_the_rest():
    batch = mixed(500)
    batch.loc[0, "temp"] = np.inf
    assert drift(mixed(500), batch, ["temp"]).verdict == "no drift"
