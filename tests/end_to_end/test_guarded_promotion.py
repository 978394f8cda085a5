"""What a promotion has to keep besides the first metric: guard metrics, slices, groups, freshness, size."""

import numpy as np
import pandas as pd
import pytest

from mlops_assets import Gates
from support.deployment import DeployedModel, Deployment, failed
from support.synthetic import rows

POOR, GOOD = {"alpha": 1e3}, {"alpha": 0.1}


def two_kinds(number: int) -> pd.DataFrame:
    """Rows of which one colour in three follows another law, so that what serves most of them harms the others."""
    frame = rows(number, count=300)
    red = frame["colour"] == "red"
    return frame.assign(y=frame["y"].where(~red, -frame["x"]))


def guards(model: DeployedModel) -> dict[str, str]:
    return {row["guard"]: row["verdict"] for row in model.shown("champion")["guards"]}


@pytest.mark.promise(1)
@pytest.mark.slow
def test_slice_that_gets_worse_keeps_a_better_challenger_out(deployment: Deployment, name: str):
    model = deployment.model(name, slices=["colour"], drop=["colour"])
    model.prepare(b1=two_kinds(1), b2=two_kinds(2))
    assert model.train(**POOR).success
    assert model.train(**GOOD).success
    shown = model.shown("champion")
    assert (model.champion(), shown["verdict"]) == (1, "keep")
    assert shown["improvement"] > 0
    assert shown["reason"].startswith("got worse: rmse of colour = 'red' (")
    assert guards(model) == {
        "rmse of colour = 'blue'": "not worse",
        "rmse of colour = 'green'": "not worse",
        "rmse of colour = 'red'": "worse",
    }

    careless = deployment.model(name, slices=["colour"], drop=["colour"], gates=Gates(guard_slices=False))
    assert careless.train(**GOOD).success
    assert careless.champion() == 2


def test_metric_that_gets_worse_keeps_a_better_challenger_out(deployment: Deployment, name: str):
    def outliers(number: int) -> pd.DataFrame:
        frame = rows(number, count=300, noise=0.1)
        return frame.assign(y=frame["y"] + np.where(np.arange(300) % 10 == 0, 60.0, 0.0))

    robust = {"estimator": "sklearn.linear_model.HuberRegressor"}  # small errors for most rows, great ones for a few
    first = deployment.model(name, **robust, gates=Gates(guards={"mae": 0.5}, beats=[]))
    first.prepare(b1=outliers(1), b2=outliers(2))
    assert first.train().success
    squares = deployment.model(name, gates=Gates(guards={"mae": 0.5}, beats=[]))
    assert squares.train().success
    assert (squares.champion(), guards(squares)) == (1, {"mae": "worse"})
    assert squares.shown("champion")["verdict"] == "keep"


@pytest.mark.slow
def test_groups_are_compared_as_wholes(deployment: Deployment, name: str):
    def customers(number: int) -> pd.DataFrame:
        return rows(number, count=300).assign(customer=lambda frame: frame["id"] % 25)

    model = deployment.model(name, group="customer")
    model.prepare(b1=customers(1), b2=customers(2))
    assert model.train(**POOR).success
    assert model.train(**GOOD).success
    shown = model.shown("champion")
    assert (model.champion(), shown["verdict"]) == (2, "promote")
    assert "25 groups" in shown["reason"]
    features = model.storage.read_frame(name, "features", "b2", str(model.record("b2").features))
    assert "customer" not in features


@pytest.mark.parametrize(("no_worse_by", "champion"), [pytest.param(2.0, 2, marks=pytest.mark.slow), (0.001, 1)])
def test_fresh_model_replaces_one_that_it_is_no_worse_than(no_worse_by, champion, deployment: Deployment, name: str):
    model = deployment.model(name, gates=Gates(no_worse_by=no_worse_by))
    model.prepare(b1=rows(1, count=200), b2=rows(2, count=200))
    assert model.train(**GOOD).success
    assert model.train(alpha=8.0).success  # a little worse
    shown = model.shown("champion")
    assert (model.champion(), shown["improvement"] < 0) == (champion, True)
    assert f"the tolerated loss of {no_worse_by:g}" in shown["reason"]


@pytest.mark.promise(1)
def test_model_that_is_too_large_is_not_promoted(deployment: Deployment, name: str):
    model = deployment.model(name, gates=Gates(max_size_mb=0.001))
    model.prepare(b1=rows(1), b2=rows(2))
    result = model.train()
    assert failed(result)["size"].endswith("MB; expected at most 0.001 MB")
    assert model.champion() is None
