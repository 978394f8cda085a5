"""A version by `mlflow.pyfunc`, as other tools load it, takes every frame that the pack itself can score."""

from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest

from defs.co2_forecast.model import lags, weekly_co2
from mlops_assets.modelling.fitting.estimators import build
from mlops_assets.resources.mlflow.model_files import save_model

TYPES = {
    "as trained": {},
    "nullable": {"whole": "Int64", "number": "Float64", "flag": "boolean", "city": "string"},
    "arrow": {"whole": "int64[pyarrow]", "number": "double[pyarrow]", "flag": "bool[pyarrow]"},
    "small": {"whole": "int8", "number": "float32"},
    "unsigned": {"whole": "uint64"},
    "floats": {"whole": "float64", "flag": "float64"},
    "objects": {"whole": object, "number": object, "flag": object, "city": object},
    "categories": {"city": "category"},
}
WITHOUT_GAPS = {"small", "unsigned", "as trained"}


def trained_on(estimator: str) -> tuple[pd.DataFrame, pd.Series, str]:
    rng = np.random.default_rng(5)
    whole, number, flag = rng.integers(0, 9, 200), rng.normal(size=200), rng.random(200) > 0.5
    X = pd.DataFrame({"whole": whole, "number": number, "flag": flag, "city": rng.choice(["Rome", "Oslo"], 200)})
    y = X["whole"] + X["number"] + 3 * X["flag"] + 2 * (X["city"] == "Rome")
    return (X, y, "regression") if estimator.endswith("Regressor") else (X, (y > 7).astype(int), "binary")


@pytest.fixture(
    scope="module",
    params=[
        "sklearn.linear_model.LogisticRegression",
        "sklearn.ensemble.HistGradientBoostingRegressor",
        "sklearn.tree.DecisionTreeRegressor",
    ],
)
def saved(request, tmp_path_factory):
    X, y, problem = trained_on(request.param)
    model = build(request.param, {}, X, problem, 0).fit(X, y)
    folder = tmp_path_factory.mktemp("pyfunc") / "model"
    save_model(model, folder, X)
    return model, mlflow.pyfunc.load_model(str(folder)), X


@pytest.mark.parametrize("types", TYPES)
def test_any_type_that_holds_the_same_values_is_predicted_the_same(types, saved):
    model, by_pyfunc, X = saved
    frame = X.astype(TYPES[types])
    expected = model.predict(X)
    assert np.asarray(by_pyfunc.predict(frame)) == pytest.approx(expected, rel=1e-5)
    reordered = frame.assign(id=range(len(X)))[["id", *reversed(X.columns)]]  # a stored batch has its key and others
    assert np.asarray(by_pyfunc.predict(reordered)) == pytest.approx(expected, rel=1e-5)
    if types in WITHOUT_GAPS:
        return
    gaps = frame.where(np.broadcast_to(np.arange(len(frame))[:, None] % 3 > 0, frame.shape))
    plain = X.astype(object).where(gaps.notna(), None)
    assert np.asarray(by_pyfunc.predict(gaps)) == pytest.approx(model.predict(plain), rel=1e-5)


def test_the_frame_read_back_from_parquet_is_predicted_the_same(saved, tmp_path: Path):
    model, by_pyfunc, X = saved
    gaps = X.astype({"flag": object})
    gaps.loc[::4, ["number", "flag", "city"]] = None
    gaps.to_parquet(tmp_path / "batch.parquet")
    stored = pd.read_parquet(tmp_path / "batch.parquet")
    assert np.asarray(by_pyfunc.predict(stored)) == pytest.approx(model.predict(gaps))


def test_one_row_a_column_without_values_and_a_missing_column(saved):
    model, by_pyfunc, X = saved
    assert np.asarray(by_pyfunc.predict(X.head(1))) == pytest.approx(model.predict(X.head(1)))
    empty = X.assign(number=None, flag=None)
    assert np.isfinite(np.asarray(by_pyfunc.predict(empty), dtype=float)).all()
    with pytest.raises(ValueError, match=r"columns are missing: \{'city'\}"):
        by_pyfunc.predict(X.drop(columns="city"))


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "str", "category", "int64[pyarrow]"])
def test_a_version_trained_on_nullable_types_takes_them(dtype, tmp_path: Path):
    rng = np.random.default_rng(6)
    values = rng.integers(0, 2, 100)
    X = pd.DataFrame({"x": pd.Series(values.astype(str) if dtype in ("str", "category") else values).astype(dtype)})
    X.loc[::5, "x"] = None
    y = pd.Series(values * 2.0)
    model = build("sklearn.linear_model.Ridge", {}, X, "regression", 0).fit(X, y)
    save_model(model, tmp_path / "model", X)
    by_pyfunc = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert by_pyfunc.predict(X) == pytest.approx(model.predict(X))
    assert by_pyfunc.metadata.metadata["features"] == {"x": str(X["x"].dtype)}


def test_a_forecast_by_pyfunc_of_rows_that_lack_lags(tmp_path: Path):
    rows = weekly_co2()
    X, y = lags(rows, rows.head(0)), rows["co2"]
    known = y.notna()
    model = build("sklearn.linear_model.Ridge", {}, X[known], "regression", 0).fit(X[known], y[known])
    save_model(model, tmp_path / "model", X[known])
    assert X["co2_104_weeks_ago"].isna().sum() > 100
    assert mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(X) == pytest.approx(model.predict(X))
