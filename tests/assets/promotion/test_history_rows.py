"""The history that `champion` shows: every version with what was decided on it and why."""

from mlops_assets.assets.promotion.champion import history_rows
from mlops_assets.records.trainings import TrainingRecord
from mlops_assets.resources.mlflow.model_version import ModelVersion

AT = "2024-05-01T10:00:00+00:00"


def test_a_version_that_a_gate_refused_is_not_called_not_judged():
    promoted = {
        "verdict": "promote",
        "decided_by": "ada",
        "reason": "by hand: better",
        "trained_until": "2024-04-30 10",
    }
    versions = [
        ModelVersion(model="tides", version=number, digest="d", run_id="run", tags=tags)
        for number, tags in ((3, {}), (2, {}), (1, promoted))
    ]
    refused = TrainingRecord(
        data_version="d2",
        declaration_version="decl",
        status="refused",
        run_id="run",
        at=AT,
        version=2,
        verdict="keep",
        reason="latency: 90 ms for a row",
    )
    rows = history_rows(
        versions,
        [
            TrainingRecord(
                data_version="d3", declaration_version="decl", status="fitted", run_id="run", at=AT, version=3
            ),
            refused,
        ],
    )
    assert [(row["version"], row["verdict"], row["reason"]) for row in rows] == [
        (3, "not judged", ""),
        (2, "refused", "latency: 90 ms for a row"),
        (1, "promote by ada", "by hand: better"),
    ]


def test_the_history_shows_refits_and_the_newest_twenty():
    refit = {"refit_of": "1", "trained_until": "2024-04-30 10:00"}
    judged = {"verdict": "keep", "reason": "no better", "decided_by": "mlops_assets"}
    tags = {3: {**judged, "refit_of": "1"}, 2: refit, 1: judged}
    versions = [ModelVersion(model="tides", version=each, digest="d", run_id="r", tags=tags[each]) for each in tags]
    assert history_rows(versions, []) == [
        {"version": 3, "verdict": "keep, refit of version 1", "trained until": "", "reason": "no better"},
        {"version": 2, "verdict": "refit of version 1", "trained until": "2024-04-30", "reason": ""},
        {"version": 1, "verdict": "keep", "trained until": "", "reason": "no better"},
    ]
    assert len(history_rows(versions[:1] * 30, [])) == 20
