"""A project that has nothing of ours but two YAML files gets from landed files to champions and predictions."""

import dagster as dg
import pytest

from support.deployment import QUIET
from support.ledger_rows import latest
from support.synthetic import rows
from support.yaml_project import Project


@pytest.mark.slow
def test_two_segments_of_one_file_get_champions_of_their_own_from_a_sensor_and_jobs(
    tmp_path, monkeypatch, mlflow_schema
):
    for variable in ("MLOPS_ASSETS_STORAGE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)
    project = Project(tmp_path, monkeypatch)
    home, landing = tmp_path / "home", tmp_path / "landing"
    home.mkdir()
    landing.mkdir()
    (home / "mlflow.db").write_bytes(mlflow_schema.read_bytes())
    project.declare("platform", {"home": str(home)}, "mlops_assets.Deployment")
    project.declare(
        "bike",
        {
            "name": "bike",
            "source": {"folder": "{{ context.project_root }}/landing/*.csv"},
            "time": "day",
            "key": ["id"],
            "target": "y",
            "estimator": "sklearn.linear_model.Ridge",
            "metrics": ["rmse"],
            "holdout": 1,
            "segments": [{"name": colour, "where": {"colour": colour}} for colour in ("red", "blue")],
        },
    )
    for number in (1, 2, 3):
        rows(number, count=300).to_csv(landing / f"b{number}.csv", index=False)
        (landing / f"b{number}.csv.done").touch()
    defs = project.defs()
    with dg.DagsterInstance.ephemeral() as instance:
        tick = _tick(defs, instance)
        asked = {(request.tags["mlops_assets/model"], request.partition_key) for request in tick.run_requests}
        assert asked == {(f"bike_{colour}", f"b{number}") for colour in ("red", "blue") for number in (1, 2, 3)}
        for additions in tick.dynamic_partitions_requests:
            instance.add_dynamic_partitions(additions.partitions_def_name, list(additions.partition_keys))
        for model, batch in sorted(asked):
            _run(defs, f"{model}_batch", instance, partition_key=batch)
        for colour in ("red", "blue"):
            _run(defs, f"bike_{colour}_training", instance)
            champion = defs.resources["mlflow_registry"].champion(f"bike_{colour}")
            assert champion is not None and champion.version == 1
            frames = [
                defs.resources["mlops_storage"].read_frame(f"bike_{colour}", "dataset", f"b{number}", version)
                for number in (1, 2, 3)
                if (version := latest(defs.resources["mlops_storage"], f"bike_{colour}", "dataset", f"b{number}"))
            ]
            assert len(frames) == 3 and {*frames[0]["colour"], *frames[2]["colour"]} == {colour}


def _tick(defs: dg.Definitions, instance: dg.DagsterInstance) -> dg.SensorResult:
    repository = defs.get_repository_def()
    resources = {name: defs.resources[name] for name in ("mlops_storage", "mlflow_registry")}
    context = dg.build_sensor_context(instance=instance, repository_def=repository, resources=resources)
    return repository.get_sensor_def("new_data").evaluate_tick(context)


def _run(defs: dg.Definitions, job: str, instance: dg.DagsterInstance, **options: str) -> None:
    found = defs.resolve_job_def(job)
    assert found.execute_in_process(instance=instance, run_config=QUIET, **options).success
