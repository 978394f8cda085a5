"""What the README and docs/ show, taken from the pages as they stand: the model is run from files to a champion."""

import re
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd

from mlops_assets import Folder, Gates, ModelPipeline, Retraining
from mlops_assets.resources.great_expectations import GreatExpectations
from mlops_assets.resources.mlflow_registry import MlflowRegistry
from mlops_assets.resources.storage import BatchFiles, Storage

README = Path(__file__).parents[1] / "README.md"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def hours(month):
    """A month of rentals that follow the temperature and the hour of the day."""
    random = np.random.default_rng(month)
    hour = pd.date_range(f"2024-{month:02d}-01", periods=28 * 24, freq="h")
    temperature = 10 + 8 * np.sin(hour.hour / 24 * 2 * np.pi) + random.normal(0, 3, len(hour))
    rentals = np.clip(5 * temperature + 20 * (hour.hour > 6) + random.normal(0, 8, len(hour)), 0, None).round()
    return pd.DataFrame({"hour": hour, "clock": hour.hour, "temperature": temperature, "rentals": rentals})


def test_the_model_of_the_readme_becomes_champion(tmp_path, monkeypatch):
    (block,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(block.splitlines()) <= 22
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/bikes").mkdir(parents=True)
    (tmp_path / "defs/bikes").mkdir(parents=True)
    for month in range(1, 6):
        hours(month).to_csv(tmp_path / f"data/bikes/2024-{month:02d}.csv", index=False)
    namespace = {}
    exec(block, namespace)
    registry = MlflowRegistry(
        tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}", artifact_root=str(tmp_path / "artifacts")
    )
    resources = {
        "mlops_storage": Storage(root=str(tmp_path / "storage")),
        "mlops_batches": BatchFiles(root=str(tmp_path / "storage")),
        "mlflow_registry": registry,
        "great_expectations": GreatExpectations(),
    }
    defs = dg.Definitions.merge(namespace["bikes"](), dg.Definitions(resources=resources))
    with dg.instance_for_test() as instance:
        months = [f"2024-{month:02d}" for month in range(1, 6)]
        instance.add_dynamic_partitions("bikes_batches", months)
        for month in months:
            run = defs.resolve_job_def("bikes_batch").execute_in_process(
                instance=instance, partition_key=month, run_config=QUIET
            )
            assert run.success
        assert defs.resolve_job_def("bikes_training").execute_in_process(instance=instance, run_config=QUIET).success
    champion = registry.champion("bikes")
    assert champion is not None and champion.version == 1
    assert registry.metrics(champion.run_id)["r2"] > 0.8
    written = (tmp_path / "defs/bikes/expectations.yaml").read_text()
    assert "expect_column_values_to_be_between" in written and "column: temperature" in written


def test_the_page_on_the_loop_shows_the_defaults_and_a_declaration_that_holds():
    page = (README.parent / "docs" / "loop.md").read_text()
    policy, late = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert eval(policy, {"Retraining": Retraining}) == Retraining()
    model = eval(late, {"ModelPipeline": ModelPipeline, "Folder": Folder})
    kinds = {key.path[-1] for asset in model.build_defs().assets for key in asset.keys}
    assert {"dataset", "outcomes", "performance"} <= kinds


def test_the_page_on_decisions_shows_the_defaults_of_the_gates():
    page = (README.parent / "docs" / "decisions.md").read_text()
    (gates,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert eval(gates, {"Gates": Gates}) == Gates(guards={"mae": 0.5})
