"""What `evaluation` shows of each feature, and its two checks that warn without keeping a version from the alias."""

import pandas as pd
import pytest

from support.deployment import checks, failed
from support.ledger_rows import value_of
from support.synthetic import rows


def test_features_are_tested_by_importance_unless_refits_are_asked_for(deployment, name):
    model = deployment.model(name)
    model.prepare(b1=rows(1, 200), b2=rows(2, 200))
    result = model.train()
    assert result.success and model.champion() == 1
    table = {row["feature"]: row for row in model.shown("evaluation")["features"]}
    assert next(iter(table)) == "x" and set(table) == {"x", "z", "colour", "bought"}
    assert table["x"]["verdict"] == "earns" and table["x"]["importance"] > 2
    assert table["z"]["verdict"] == "earns nothing" and "lost without" not in table["x"]
    assert table["x"]["missing"] == 0.0 and table["x"]["bytes a row"] == 8.0
    check = checks(result)["features_earn"]
    assert check.passed and "'z'" in check.description and "earns nothing" in check.description
    assert "judged by permutation importance only" in check.description
    assert checks(result)["no_overlap"].passed

    stored = value_of(model.storage, name, "importance", model.registry.champion(name).digest)["values"]
    assert set(stored) == set(table) and stored["x"] > 2 and abs(stored["z"]) < 0.1

    result = model.materialize("evaluation", ablation=True)
    assert result.success
    table = {row["feature"]: row for row in model.shown("evaluation")["features"]}
    assert table["x"]["lost without"] > 0.5 and table["x"]["verdict"] == "earns"
    assert table["z"]["verdict"] == "earns nothing" and table["z"]["lost without"] < 0.05
    check = checks(result)["features_earn"]
    assert not check.passed and check.severity.name == "WARN"
    assert "judged by fits without each feature" in check.description


def test_features_that_all_earn_pass_and_pairs_are_shown_together(deployment, name):
    def pair(frame):
        return frame[["id", "day", "x"]].assign(copy=frame["x"] * 2 + 1, y=frame["y"])

    model = deployment.model(name, ablation=True)
    model.prepare(b1=pair(rows(31, 200)), b2=pair(rows(32, 200)))
    result = model.train()
    assert checks(result)["features_earn"].passed, failed(result)
    table = {row["feature"]: row for row in model.shown("evaluation")["features"]}
    assert {feature: row["correlated group"] for feature, row in table.items()} == {"x": 1, "copy": 1, "x + copy": 1}
    assert table["x"]["verdict"] == table["copy"]["verdict"] == "replaceable"
    assert table["x"]["rmse alone"] == table["copy"]["rmse alone"] < 1.2


def test_rows_delivered_twice_are_told_and_do_not_stop_the_version(deployment, name):
    model = deployment.model(name, key=[])
    first, second = rows(1, 200).drop(columns="id"), rows(2, 200).drop(columns="id")
    again = first.iloc[:60].assign(day=second["day"].iloc[:60].to_numpy())
    model.prepare(b1=first, b2=pd.concat([again, second.iloc[60:]], ignore_index=True))
    result = model.train()
    assert result.success and model.champion() == 1
    check = checks(result)["no_overlap"]
    assert not check.passed and check.severity.name == "WARN"
    assert check.description.startswith("60 of 200 holdout rows (30.0%) equal a training row")


@pytest.mark.slow
def test_two_evaluations_of_the_same_version_show_the_same(deployment, name):
    model = deployment.model(name, target="bought", estimator="sklearn.linear_model.LogisticRegression", metrics=[])
    model.prepare(b1=rows(1, 150), b2=rows(2, 150))
    assert model.train().success
    once = model.shown("evaluation")
    assert model.materialize("evaluation").success
    again = model.shown("evaluation")
    assert once["features"] == again["features"] and once["importance_plot"] == again["importance_plot"]
    assert all(row["log_loss alone"] < 0.75 for row in once["features"] if row["feature"] in {"x", "y", "z"})
