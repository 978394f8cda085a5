"""The files that `dg scaffold defs` writes: a commented defs.yaml that works once its names are yours."""

import re
import textwrap
from collections.abc import Iterator
from typing import Any

import dagster as dg
import yaml
from pydantic import BaseModel

from mlops_assets.declaration import Declaration

_WIDTH = 110
_SEARCH = {"space": {"learning_rate": [0.03, 0.1, 0.3], "max_leaf_nodes": [15, 31, 63]}, "method": "random"}
_KINDS = (
    "Where batches come from: a new file is a new batch. Other kinds: {folder: ..., period: month}, "
    "{table: orders, url: $WAREHOUSE_URL, high_watermark: id}, {asset: lake/rentals}, {frame: package.module:function}."
)


class ModelScaffolder(dg.Scaffolder[Any]):
    """Writes a model that reads `data/<name>/*.csv`."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        name = re.sub(r"[^a-z0-9]+", "_", request.target_path.name.lower()).strip("_") or "model"
        name = name if name[0].isalpha() else f"model_{name}"
        python = _PYTHON.format(
            imports="Folder, ModelPipeline", kind="ModelPipeline", fields=_FIELDS.format(name=name[:60])
        )
        write(request, model_yaml(request.type_name, name[:60]), python)


class DeploymentScaffolder(dg.Scaffolder[Any]):
    """Writes a deployment with all defaults, in comments."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        python = _PYTHON.format(imports="Deployment", kind="Deployment", fields="")
        write(request, _DEPLOYMENT.format(type=request.type_name), python)


def model_yaml(type_name: str, name: str) -> str:
    """Return a defs.yaml of a model with the fields that are commonly set, and all other fields in comments."""
    filled: dict[str, Any] = {
        "name": name,
        "source": {"folder": f"data/{name}/*.csv"},
        "target": "target",
        "estimator": "sklearn.ensemble.HistGradientBoostingRegressor",
        "time": "timestamp",
        "key": ["id"],
        "metrics": ["rmse", "mae"],
        "expectations": "expectations.yaml",
    }
    fields = {field: info.description or "" for field, info in Declaration.model_fields.items()}
    lines = [f"# The model {name}. `dg check defs` says what is wrong here, and in which line.", f"type: {type_name}"]
    lines.append("attributes:")
    for field, value in filled.items():
        lines += [*_comment(_KINDS if field == "source" else fields[field], "  "), f"  {field}: {flow(value)}"]
    lines += ["", *_comment("The rest as it is when left out; take away the `# ` before what you change.", "  ")]
    for field, info in Declaration.model_fields.items():
        if field not in filled:
            default = {"search": _SEARCH, "outcomes": {"folder": f"data/{name}_outcomes/*.csv"}}.get(field)
            lines += commented(field, fields[field], default or info.get_default(call_default_factory=True))
    segment = [{"name": "north", "where": {"region": "north"}}, {"name": "south", "where": {"region": "south"}}]
    lines += commented("segments", f"Many models: {name}_north, {name}_south; each may set any field anew.", segment)
    return "\n".join(lines) + "\n"


def commented(field: str, description: str, value: Any) -> Iterator[str]:
    """Yield a field in comments: its description, and its value on one line or, for a part, one line for each field."""
    yield from _comment(description, "  ")
    parts = type(value).model_fields if isinstance(value, BaseModel) else {}
    yield f"  # {field}:" if parts else f"  # {field}: {flow(value)}"
    for name, info in parts.items():
        yield from _comment(info.description or "", "  #   ")
        yield f"  #   {name}: {flow(getattr(value, name))}"


def flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True)
    return text.strip().removesuffix("...").strip()


def write(request: dg.ScaffoldRequest[Any], text: str, python: str) -> None:
    """Write the requested file: a defs.yaml, one more document in it, or a component.py."""
    if request.append:
        with request.target_path.open("a", encoding="utf-8") as file:
            file.write(f"---\n{text}")
    elif request.scaffold_format == "python":
        (request.target_path / "component.py").write_text(python, encoding="utf-8")
    else:
        (request.target_path / "defs.yaml").write_text(text, encoding="utf-8")


def _comment(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")


_PYTHON = """import dagster as dg
from mlops_assets import {imports}


@dg.component_instance
def load(context: dg.ComponentLoadContext) -> {kind}:
    return {kind}({fields})
"""

_FIELDS = """
        name="{name}",
        source=Folder("data/{name}/*.csv"),
        target="target",
        estimator="sklearn.ensemble.HistGradientBoostingRegressor",
        time="timestamp",
        key=["id"],
        metrics=["rmse", "mae"],
    """

_DEPLOYMENT = """# Sensors, schedules and resources for all models of this code location; it has one such component.
# Everything has a default that works. Take away the `# ` before what you change.
type: {type}
attributes:
  sensors:
    new_data: {{running: true, every: 30}}
    retraining: {{running: true, every: 30}}
    registry_watch: {{running: true, every: 30}}
    alerts: {{running: true, every: 60}}
  # Folder for everything that has no place of its own, relative to the project; else $MLOPS_ASSETS_HOME, else .mlops.
  # home: .mlops
  # Where batches and records are kept; all runs must reach it. Else $MLOPS_ASSETS_STORAGE, else `storage` in `home`.
  # storage: {{root: /shared/mlops}}
  # MLflow. Else $MLFLOW_TRACKING_URI, else SQLite and files in `home`.
  # mlflow: {{tracking_uri: "http://mlflow.internal:5000", ui_url: "http://mlflow.internal:5000", timeout_seconds: 10}}
  # Alerts go to the Apprise URLs in this environment variable; they hold passwords, so they are not written here.
  # alerts: {{variable: MLOPS_ASSETS_ALERTS, ui_url: "http://dagster.internal:3000"}}
  # Whether the schedules that models declare (`retraining.cron`) run without being switched on in the UI.
  # schedules: {{running: true}}
"""
