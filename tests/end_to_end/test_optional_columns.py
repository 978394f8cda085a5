"""Columns that batches lack, or have without any value, now and then: the whole loop takes them as missing values."""

import numpy as np
import pandas as pd
import pytest

from mlops_assets.records.inferred_suites import inferred_expectations
from support.deployment import checks, failed, why
from support.ledger_rows import value_of
from support.reproduced import again as reproduced
from support.synthetic import rows

OPTIONAL = ["z", "colour", "late", "flag"]


def with_flag(number: int) -> pd.DataFrame:
    frame = rows(number, count=120)
    return frame.assign(flag=frame["x"] > 0)


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["sklearn.linear_model.Ridge", "sklearn.ensemble.HistGradientBoostingRegressor"])
def test_loop_goes_on_without_them(deployment, name, tmp_path, estimator):
    model = deployment.model(
        name, optional=OPTIONAL, estimator=estimator, expectations=str(tmp_path / "suite.yaml"), slices=["colour"]
    )
    whole = model.take_in(model.land("b1", with_flag(1)))  # it lacks `late`, which nobody knows yet
    assert whole.success, why(whole)
    for number in (2, 3):
        assert model.take_in(model.land(f"b{number}", with_flag(number))).success
    assert value_of(model.storage, name, "column_kinds", "dataset")["columns"]["late"] == "null"
    inferred = inferred_expectations(model.records)
    asked = [each.kwargs["column"] for each in inferred if each.type == "expect_column_values_to_not_be_null"]
    assert "x" in asked and not {*asked} & {*OPTIONAL}
    trained = model.train()
    assert trained.success, why(trained)

    lacking = with_flag(4).drop(columns=["z", "colour", "flag"]).assign(late="a")
    emptied = with_flag(5).assign(z=np.nan, colour=None, flag=None, late="b")
    for batch, frame in (("b4", lacking), ("b5", emptied)):
        result = model.take_in(model.land(batch, frame))
        assert result.success and failed(result).keys() <= {"no_drift", "no_decay"}, (failed(result), why(result))
        stored = model.storage.read_frame(name, "dataset", batch, str(model.record(batch).version))
        assert stored[["z", "colour", "flag"]].isna().all().all() and (stored["late"] == frame["late"]).all()
        assert len(model.predictions(batch)) == 120 and model.predictions(batch)["prediction"].notna().all()
    stored = model.storage.read_frame(name, "dataset", "b4", str(model.record("b4").version))
    assert pd.api.types.is_string_dtype(stored["colour"]) or stored["colour"].dtype == object
    kinds = value_of(model.storage, name, "column_kinds", "dataset")
    assert (kinds["columns"]["late"], kinds["origins"]["late"]) == ("text", "b4")
    assert {each: kinds["columns"][each] for each in ("z", "colour", "flag")} == {
        "z": "number",
        "colour": "text",
        "flag": "boolean",
    }
    of_z = [entry for entry in model.shown("drift")["features"] if entry["feature"] == "z"]
    assert "all values are missing in the batch" in str(of_z)

    wrong = model.take_in(model.land("b6", with_flag(6).assign(late=np.arange(120.0))))
    assert "'late': expected text as in batch 'b4', got number" in failed(wrong)["dtypes"]
    assert not checks(model.take_in(model.land("b7", with_flag(7).drop(columns="x"))))["columns"].passed
    again = model.train()
    assert again.success, why(again)
    whole = model.take_in(model.land("b8", with_flag(8).assign(late="a")))
    assert whole.success, why(whole)


@pytest.mark.slow
def test_optional_column_may_be_declared_of_a_model_that_lives(deployment, name):
    model = deployment.model(name)
    for number in (1, 2):
        assert model.take_in(model.land(f"b{number}", rows(number))).success
    rejected = model.take_in(model.land("b3", rows(3).drop(columns="z")))
    assert "missing: 'z'" in failed(rejected)["columns"]
    model = deployment.model(name, optional=["z", "late"], extra_columns="reject")
    for batch in ("b3", model.land("b4", rows(4).assign(late=1.5))):
        result = model.take_in(batch)
        assert result.success, why(result)
    trained = model.train()
    assert trained.success, why(trained)


def test_column_that_a_later_batch_has_more_is_accepted_and_left_out(deployment, name):
    model = deployment.model(name)
    model.prepare(b1=rows(1), b2=rows(2))
    assert model.challenge().success
    result = model.take_in(model.land("b3", rows(3).assign(extra=1.5, word="a")))
    assert result.success, why(result)
    assert (
        "left out, as the first batch lacked it: 'extra', 'word'. Declare it `optional`"
        in checks(result)["feature_columns"].description
    )
    assert len(model.predictions("b3")) == 60
    assert {"extra", "word"} <= {*model.storage.read_frame(name, "dataset", "b3", str(model.record("b3").version))}
    features = model.storage.read_frame(name, "features", "b3", str(model.record("b3").features))
    assert not {"extra", "word"} & {*features}
    again = model.challenge()
    assert again.success, why(again)
    assert reproduced(model).verdict == "identical"
