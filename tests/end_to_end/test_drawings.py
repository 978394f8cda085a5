"""What is drawn for people never keeps a step from deciding: a decayed classifier, and drawings that raise."""

import dagster as dg
import pytest

from mlops_assets.assets.shared.drawing import drawn, drawn_plots
from mlops_assets.assets.shared.keys import BATCH_ASSETS, TRAINING_ASSETS, asset_key
from support.deployment import DeployedModel, Deployment, checks, failed, why
from support.synthetic import rows

CLASSIFIER = {
    "target": "bought",
    "estimator": "sklearn.linear_model.LogisticRegression",
    "metrics": ["log_loss", "accuracy"],
    "drop": ["y"],
}
FAULT = "could not be drawn: KeyError: 1"
DRAWINGS = {
    "dataset": {"preview"},
    "features": {"preview"},
    "predictions": {"preview"},
    "drift": {"page"},
    "performance": {"page", "trend"},
    "evaluation": {"calibration_plot", "roc_pr_plot", "importance_plot"},
    "model_card": {"card"},
}


def decayed(number):
    """Who did not buy bought, and the other way round; `x` and `z` are far from those trained on."""
    frame = rows(number, 200)
    return frame.assign(bought=1 - frame["bought"], x=frame["x"] + 1, z=frame["z"] + 9)


@pytest.mark.parametrize("labels", [[0, 1], pytest.param(["no", "yes"], marks=pytest.mark.slow)], ids=str)
def test_decay_of_a_classifier_is_told_with_its_page_by_default(labels, deployment: Deployment, name):
    model = deployment.model(name, **CLASSIFIER)

    def named(frame):
        return frame.assign(bought=frame["bought"].map(dict(enumerate(labels))))

    model.prepare(b1=named(rows(1, 200)), b2=named(rows(2, 200)))
    assert model.train().success
    result = model.take_in(model.land("b3", named(decayed(3))))
    assert result.success, why(result)
    assert not checks(result)["no_decay"].passed and not checks(result)["no_drift"].passed
    for kind in ("performance", "drift"):
        assert model.shown(kind)["page"].startswith(f"[Evidently's page {kind}/b3.html]("), model.shown(kind)["page"]
        page = model.registry.artifact(model.registry.champion(name).run_id, f"{kind}/b3.html")
        assert page.stat().st_size > 100_000


def raises(*_args, **_named):
    raise KeyError(1)


def lived_without_drawings(deployment: Deployment, name: str, monkeypatch: pytest.MonkeyPatch) -> DeployedModel:
    for function in (
        *("assets.batch.performance.performance_page", "assets.batch.drift.drift_page"),
        *(
            "modelling.plots.model_plots.calibration",
            "modelling.plots.model_plots.roc_pr",
            "modelling.plots.model_plots.importance",
        ),
        *("assets.batch.dataset.preview", "assets.batch.features.preview", "assets.batch.predictions.preview"),
        *("assets.promotion.model_card._card", "assets.batch.performance.trend"),
    ):
        monkeypatch.setattr(f"mlops_assets.{function}", raises)
    model = deployment.model(name, **CLASSIFIER)
    model.prepare(b1=rows(1, 200), b2=rows(2, 200))
    result = model.train()
    assert result.success, failed(result)
    result = model.take_in(model.land("b3", decayed(3)))
    assert result.success, why(result)
    assert not checks(result)["no_decay"].passed and not checks(result)["no_drift"].passed
    warnings = [entry.user_message for entry in model.instance.all_logs(result.run_id) if entry.level == 30]
    assert sorted(text for text in warnings if "could not be drawn" in text) == sorted(
        f"{each} {FAULT}" for kind in BATCH_ASSETS for each in DRAWINGS.get(kind, ())
    )
    return model


def test_drawings_that_raise_are_lines_of_the_metadata(deployment: Deployment, name, monkeypatch):
    model = lived_without_drawings(deployment, name, monkeypatch)
    for kind in (*BATCH_ASSETS, *TRAINING_ASSETS):
        failures = {key for key, value in model.shown(kind).items() if value == FAULT}
        assert failures == DRAWINGS.get(kind, set()), kind
        assert model.instance.get_latest_materialization_event(asset_key(name, kind)) is not None


def test_what_cannot_be_drawn_is_one_line_of_bounded_length():
    def draw():
        raise ValueError("two\nlines " + 1_000 * "x")

    line = drawn("plot", draw)["plot"].value
    assert line.startswith("could not be drawn: ValueError: two lines xxx") and len(line) == 500


def test_a_plot_that_cannot_be_kept_costs_that_plot_only():
    def keep(file, png):
        if file == "left.png":
            raise OSError("no room")

    shown = drawn_plots({"left": lambda: b"png", "right": lambda: b"png"}, "_plot", keep)
    assert shown["left_plot"].value == "could not be drawn: OSError: no room"
    assert isinstance(shown["right_plot"], dg.MarkdownMetadataValue)
