"""`type: mlops_assets.ModelPipeline` in a defs.yaml is what `ModelPipeline(...).build_defs()` is in Python."""

import importlib
import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import dagster as dg
import pytest
import yaml
from jsonschema import Draft202012Validator

from mlops_assets import Folder, Frame, ModelPipeline, Table, UpstreamAsset
from mlops_assets.components.schema import model_schema
from support.yaml_project import MINIMAL, Project, of_yaml

FUNCTIONS = """
def lags(batch, history):
    return batch[["x"]].assign(twice=2 * batch["x"])


def build(alpha=1.0):
    from sklearn.linear_model import Ridge

    return Ridge(alpha=alpha)


def suite():
    return []


def frames():
    return iter(())


NUMBER = 7
"""
SUITE = {
    "name": "bike",
    "expectations": [{"type": "expect_column_values_to_be_between", "kwargs": {"column": "x", "min_value": 0}}],
}
DEPLOYMENT = "mlops_assets.Deployment"


PYTHON = """
from pathlib import Path

import dagster as dg
import {functions} as functions

from mlops_assets import Drift, Fleet, Folder, Frame, Gates, ModelPipeline, Retraining, Search


@dg.definitions
def bike():
    return ModelPipeline(
        name="bike",
        source=Folder("data/bike/*.csv", period="month", delimiter=";", limits={{"max_rows": 10, "memory_mb": 5}}),
        target="rentals",
        estimator=functions.build,
        params={{"alpha": 2.0}},
        problem="classification",
        threshold=0.3,
        calibrate="sigmoid",
        fleet=Fleet(by="city", min_rows=50),
        time="hour",
        key=["hour", "station"],
        group="station",
        where={{"city": ["Graz", "Linz"], "year": 2024, "open": True}},
        drop=["casual"],
        expectations=str(Path(__file__).parent / "expectations.yaml"),
        extra_columns="reject",
        optional=["snow_depth"],
        features=functions.lags,
        lookback="7D",
        chunked=True,
        search=Search({{"alpha": {{"low": 0.1, "high": 10, "log": True}}}}, trials=5, folds=3, workers=1),
        window="180D",
        holdout=2,
        metrics=["log_loss", "f1"],
        slices=["season"],
        gates=Gates(min_gain=0.5, beats=["dummy", "linear"], maximum={{"log_loss": 0.9}}, guards={{"f1": 1}}),
        drift=Drift(alpha=0.05, season=["month"], period="30D"),
        retraining=Retraining(cron="0 3 * * 1", timezone="Europe/Vienna", confirm=(1, 2), max_age="30D"),
        ablation=True,
        refit=True,
        approval="required",
        outcomes=Frame("{functions}:frames"),
        known_at="returned",
        label_share=0.9,
        workers=2,
        pages="never",
        seed=3,
        serialization="cloudpickle",
        trusted_types=["shop.Thing"],
        owners=["team:mobility"],
        description="Rentals of the coming hour.",
    ).build_defs()
"""


@pytest.fixture
def functions(tmp_path, monkeypatch) -> str:
    """The name of a module of functions that models use."""
    name = f"functions_of_{tmp_path.name.lower()}"
    (tmp_path / f"{name}.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def everything(functions: str) -> dict[str, Any]:
    """Each field, as YAML writes it, with another value than its default."""
    return {
        "name": "bike",
        "source": {
            "folder": "data/bike/*.csv",
            "period": "month",
            "delimiter": ";",
            "limits": {"max_rows": 10, "memory_mb": 5},
        },
        "target": "rentals",
        "estimator": f"{functions}:build",
        "params": {"alpha": 2.0},
        "problem": "classification",
        "threshold": 0.3,
        "calibrate": "sigmoid",
        "fleet": {"by": "city", "min_rows": 50},
        "time": "hour",
        "key": ["hour", "station"],
        "group": "station",
        "where": {"city": ["Graz", "Linz"], "year": 2024, "open": True},
        "drop": ["casual"],
        "expectations": "expectations.yaml",
        "extra_columns": "reject",
        "optional": ["snow_depth"],
        "features": f"{functions}:lags",
        "lookback": "7D",
        "chunked": True,
        "search": {"space": {"alpha": {"low": 0.1, "high": 10, "log": True}}, "trials": 5, "folds": 3, "workers": 1},
        "window": "180D",
        "holdout": 2,
        "metrics": ["log_loss", "f1"],
        "slices": ["season"],
        "gates": {"min_gain": 0.5, "beats": ["dummy", "linear"], "maximum": {"log_loss": 0.9}, "guards": {"f1": 1}},
        "drift": {"alpha": 0.05, "season": ["month"], "period": "30D"},
        "retraining": {"cron": "0 3 * * 1", "timezone": "Europe/Vienna", "confirm": [1, 2], "max_age": "30D"},
        "ablation": True,
        "refit": True,
        "approval": "required",
        "outcomes": {"frame": f"{functions}:frames"},
        "known_at": "returned",
        "label_share": 0.9,
        "workers": 2,
        "pages": "never",
        "seed": 3,
        "serialization": "cloudpickle",
        "trusted_types": ["shop.Thing"],
        "owners": ["team:mobility"],
        "description": "Rentals of the coming hour.",
    }


def told(defs: dg.Definitions) -> dict[str, Any]:
    """All that a code location tells of its definitions, but for the file in which they were declared."""
    repository, graph = defs.get_repository_def(), defs.resolve_asset_graph()
    origin = {"dagster/code_references", "dagster/component_origin"}

    def shown(metadata: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in metadata.items() if name not in origin}

    all_specs = defs.resolve_all_asset_specs()
    specs = {spec.key.to_user_string(): spec.replace_attributes(metadata=shown(spec.metadata)) for spec in all_specs}
    checks = {
        str(key): (spec.description, spec.blocking, shown(spec.metadata))
        for key in graph.asset_check_keys
        if (spec := graph.get_check_spec(key))
    }
    jobs = {
        job.name: (job.description, job.tags, job.run_config, sorted(map(str, job.asset_layer.executable_asset_keys)))
        for job in repository.get_all_jobs()
    }
    schedules = {each.name: (each.cron_schedule, each.execution_timezone) for each in repository.schedule_defs}
    return {"specs": specs, "checks": checks, "jobs": jobs, "schedules": schedules}


def test_yaml_and_python_give_equal_definitions_for_a_declaration_that_uses_every_field(
    functions, project, tmp_path, monkeypatch
):
    assert set(everything(functions)) | {"segments"} == set(ModelPipeline.model_fields)
    other = Project(tmp_path / "other", monkeypatch)
    project.declare("bike", everything(functions))
    other.write("bike/model.py", PYTHON.format(functions=functions))
    for each in (project, other):
        each.write("bike/expectations.yaml", yaml.safe_dump(SUITE))
        each.declare("platform", None, DEPLOYMENT)
    in_yaml, in_python = told(project.defs()), told(other.defs())
    assert len(in_yaml["specs"]) == 12
    assert list(in_yaml["schedules"].values()) == [("0 3 * * 1", "Europe/Vienna")]
    assert [check for check in in_yaml["checks"] if "x_values_to_be_between" in check]
    assert "bike_approve" in in_yaml["jobs"] and "bike_outcomes" in in_yaml["jobs"]
    for what in in_yaml:
        assert in_yaml[what] == in_python[what], what


def test_yaml_and_python_give_models_of_equal_versions(functions):
    module = importlib.import_module(functions)
    in_yaml = of_yaml({**MINIMAL, "time": "day", "features": f"{functions}:lags", "estimator": f"{functions}:build"})
    in_python = ModelPipeline(
        name="bike", source=Folder("data/*.csv"), target="y", time="day", features=module.lags, estimator=module.build
    )
    assert in_yaml == in_python
    assert in_yaml.training_version == in_python.training_version
    assert in_yaml.features_version == in_python.features_version


@pytest.mark.parametrize(
    "written, source",
    [
        ("data/*.csv", Folder("data/*.csv")),
        ({"folder": "data/*.csv", "period": "week", "time": "t"}, Folder("data/*.csv", period="week", time="t")),
        ({"frame": "shop.data:load", "limits": {"max_mb": 1}}, Frame("shop.data:load", limits={"max_mb": 1})),
        (
            {"table": "sales.orders", "url": "$WAREHOUSE_URL", "high_watermark": "id"},
            Table("sales.orders", url="$WAREHOUSE_URL", high_watermark="id"),
        ),
        (
            {"query": "SELECT * FROM orders", "url": "$WAREHOUSE_URL", "high_watermark": "id"},
            Table(query="SELECT * FROM orders", url="$WAREHOUSE_URL", high_watermark="id"),
        ),
        (
            {"asset": "lake/rentals", "period": "day", "time": "t"},
            UpstreamAsset("lake/rentals", period="day", time="t"),
        ),
        ({"asset": ["lake", "rentals"]}, UpstreamAsset("lake/rentals")),
    ],
)
def test_each_kind_of_source_can_be_written(written, source):
    assert of_yaml({**MINIMAL, "source": written}).source == source
    assert list(Draft202012Validator(model_schema()).iter_errors({**MINIMAL, "source": written})) == []


def test_suite_is_sought_beside_the_file_that_names_it_and_data_from_the_working_directory(project):
    project.declare("bike", {**MINIMAL, "expectations": "rules/suite.yaml"})
    model = project.component()
    assert model.expectations == str(project.folder / "bike" / "rules" / "suite.yaml")
    assert model.source.path == "data/*.csv"
    project.declare("bike", {**MINIMAL, "expectations": "/shared/suite.yaml"})
    assert project.component().expectations == "/shared/suite.yaml"


def test_function_for_expectations_is_imported_when_it_is_declared(functions):
    module = importlib.import_module(functions)
    assert of_yaml({**MINIMAL, "expectations": f"{functions}:suite"}).expectations is module.suite


def test_discovery_finds_both_components_and_imports_nothing_heavy():
    program = """
import json, sys
from dagster.components.core import package_entry
every = package_entry.get_entry_points_from_python_environment
# Only ours: another package of Dagster's, such as dagster-aws, imports what it likes.
ours = lambda group: [entry for entry in every(group) if entry.name == "mlops_assets"]
package_entry.get_entry_points_from_python_environment = ours
from dagster.components.core.package_entry import discover_entry_point_package_objects
found = [key.to_typename() for key in discover_entry_point_package_objects()]
print(json.dumps([found, sorted(name for name in sys.modules if "." not in name)]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    found, modules = json.loads(done.stdout)
    assert {"mlops_assets.ModelPipeline", "mlops_assets.Deployment"} <= set(found)
    heavy = {"sklearn", "mlflow", "great_expectations", "evidently", "scipy", "matplotlib", "sqlalchemy", "pandas"}
    assert heavy & set(modules) == set()


def test_component_can_be_made_in_a_python_file_of_the_defs_folder(project):
    project.write(
        "bike/component.py",
        """
import dagster as dg

from mlops_assets import Folder, ModelPipeline


@dg.component_instance
def load(context: dg.ComponentLoadContext) -> ModelPipeline:
    return ModelPipeline(name="bike", source=Folder("d/*.csv"), target="y", estimator="sklearn.linear_model.Ridge")
""",
    )
    project.declare("platform", None, DEPLOYMENT)
    keys = {key.to_user_string() for key in project.defs().resolve_all_asset_keys()}
    assert {"bike/dataset", "bike/champion", "bike/predictions"} <= keys


def test_asset_shows_the_line_of_its_declaration(project):
    project.declare("bike", MINIMAL)
    project.declare("platform", None, DEPLOYMENT)
    spec = next(spec for spec in project.defs().resolve_all_asset_specs() if spec.key.path[-1] == "champion")
    (reference,) = spec.metadata["dagster/code_references"].code_references
    assert (reference.file_path, reference.line_number) == (str(project.folder / "bike" / "defs.yaml"), 1)
