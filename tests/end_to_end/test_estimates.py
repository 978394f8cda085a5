"""Before labels are in, a batch shows what the champion's metric probably is; later, how such estimates fared."""

import pandas as pd
import pytest
from test_delayed_labels import LateModel

from mlops_assets import Gates
from support.deployment import DeployedModel, Deployment, checks, failed
from support.ledger_rows import value_of
from support.synthetic import rows

LOGISTIC = {"estimator": "sklearn.linear_model.LogisticRegression", "target": "bought", "metrics": ["log_loss"]}
NAMES = ["estimated_log_loss", "estimated_log_loss_low", "estimated_log_loss_high"]


def unlabelled(number: int) -> pd.DataFrame:
    return rows(number, 120).drop(columns=["y", "bought"])


def labels(*numbers: int) -> pd.DataFrame:
    return pd.concat([rows(number, 120)[["id", "bought"]] for number in numbers])


@pytest.fixture
def model(deployment: Deployment, name: str) -> LateModel:
    """A classifier with a champion on two labelled batches."""
    model = LateModel.of(deployment, name, **LOGISTIC)
    model.prepare(b1=unlabelled(1), b2=unlabelled(2))
    assert model.tell("o1", labels(1, 2)).success
    assert model.challenge().success and model.champion() == 1
    return model


def test_a_batch_without_labels_has_an_estimate_and_later_what_came_of_it(model):
    result = model.take_in(model.land("b3", unlabelled(3)))
    said = failed(result)["no_decay"]
    assert said.startswith("insufficient labels: none of 120 rows has one yet. Estimated without labels: log_loss 0.")
    assert "by the probabilities of version 1, calibrated on 120 rows of its holdout" in said
    assert said.endswith(
        "no past batch has been compared yet. It takes the same features to mean the same label as on the holdout: "
        "concept drift is not seen"
    )
    before, report = model.shown("performance"), model.report("b3")
    assert (report.verdict, report.reason) == (
        "insufficient labels",
        "insufficient labels: none of 120 rows has one yet",
    )
    value, low, high = (report.figures[name] for name in NAMES)
    assert 0 < low < value < high and before["estimated_log_loss"] == pytest.approx(value, rel=1e-4)
    (row,) = before["estimates"]
    assert (row["batch"], row["realised"], row["held"], row["version"]) == ("b3", None, "", 1)

    assert model.tell("o2", labels(3)).success
    assert "no_decay" not in failed(model.materialize("performance", batch="b3"))
    report, shown = model.report("b3"), model.shown("performance")
    assert report.verdict == "no decay" and [report.figures[name] for name in NAMES] == [value, low, high]
    (row,) = shown["estimates"]
    realised = report.figures["log_loss"]
    assert row["realised"] == pytest.approx(realised, rel=1e-3)
    assert row["held"] == ("yes" if low <= realised <= high else "no")
    assert f", realised {realised:.4g})" in shown["estimated_without_labels"]
    kept = value_of(model.storage, model.name, "estimates", "b3")
    assert (kept["value"], kept["realised"], kept["model_version"]) == (value, realised, 1)

    said = failed(model.take_in(model.land("b4", unlabelled(4))))["no_decay"]
    assert f"its interval held the truth in {1 if row['held'] == 'yes' else 0} of 1 past batches" in said
    assert [each["batch"] for each in model.shown("performance")["estimates"]] == ["b4", "b3"]


@pytest.mark.slow
def test_an_estimate_is_of_the_champion_in_force(deployment, name):
    model = LateModel.of(deployment, name, **LOGISTIC, gates=Gates(beats=[]))
    model.prepare(b1=unlabelled(1), b2=unlabelled(2))
    assert model.tell("o1", labels(1, 2)).success
    assert model.challenge(C=1e-4).success and model.champion() == 1
    assert model.take_in(model.land("b3", unlabelled(3))).success
    first = value_of(model.storage, model.name, "estimates", "b3")
    assert model.materialize("performance", batch="b3").success
    assert value_of(model.storage, model.name, "estimates", "b3") == first
    assert model.challenge(C=1.0).success and model.champion() == 2
    assert model.materialize("performance", batch="b3").success
    second = value_of(model.storage, model.name, "estimates", "b3")
    assert (first["model_version"], second["model_version"]) == (1, 2)
    assert second["value"] < first["value"]


def test_labels_that_come_with_the_rows_tell_what_the_estimate_was_worth(deployment, name):
    model: DeployedModel = deployment.model(name, **{**LOGISTIC, "drop": ["y"], "metrics": ["roc_auc"]})
    model.prepare(b1=rows(1, 120), b2=rows(2, 120))
    assert model.challenge().success
    result = model.take_in(model.land("b3", rows(3, 120)))
    assert "Judged by the share of wrong labels, since roc_auc is not a mean over rows" in (
        checks(result)["no_decay"].description
    )
    shown = model.shown("performance")
    (row,) = shown["estimates"]
    assert row["realised"] == pytest.approx(shown["roc_auc"], rel=1e-3)
    assert shown["estimated_roc_auc_low"] < shown["estimated_roc_auc"] < shown["estimated_roc_auc_high"] <= 1


def test_why_there_is_no_estimate_is_shown_and_stops_nothing(deployment, name):
    model = LateModel.of(deployment, name, **{**LOGISTIC, "metrics": ["accuracy"]})
    model.prepare(b1=unlabelled(1), b2=unlabelled(2)[:20])
    assert model.tell("o1", labels(1, 2)).success
    assert model.challenge().success
    result = model.take_in(model.land("b3", unlabelled(3)))
    assert result.success
    assert failed(result)["no_decay"] == "insufficient labels: none of 120 rows has one yet"
    assert model.shown("performance")["estimated_without_labels"] == (
        "no estimate: 20 labelled rows in the holdout and 120 rows in the batch; at least 30 and 1 are needed"
    )
