"""The code location of `daemon.Loop`: the models that LOOP_MODELS names, fed from files."""

import importlib
import os

import dagster as dg

from mlops_assets import Folder, Gates, ModelPipeline
from mlops_assets.assets.shared.keys import declared
from mlops_assets.sensors.new_data.sensor import new_data_sensor
from mlops_assets.sensors.registry_watch import registry_watch_sensor
from mlops_assets.sensors.retraining.schedules import retraining_schedules
from mlops_assets.sensors.retraining.sensor import retraining_sensor
from resources import HOME, resources
from support.deadly import arm
from support.loop_location_models import FOUND_IN

SECONDS = 5


def on_files(name: str) -> ModelPipeline:
    """The model that an example declares (`doctor_visits_in_file_order` is `doctor_visits`), its batches as files."""
    example = next(known for known in FOUND_IN if name.startswith(known))
    getattr(importlib.import_module(FOUND_IN[example]), example)()
    model = declared(example)
    landing = Folder(
        str(HOME / "landing" / name / "*.csv"), dtypes={"agent": "str", "company": "str"}, marker=True, time=model.time
    )
    often = model.retraining.model_copy(update={"budget": 1_000})  # years pass within minutes here
    pages = os.environ.get("LOOP_PAGES") or model.pages
    changes = {"name": name, "source": landing, "pages": pages, "retraining": often}
    if os.environ.get("LOOP_DEFAULTS"):
        changes |= {"holdout": None, "gates": Gates()}
    return ModelPipeline(**{**{field: getattr(model, field) for field in type(model).model_fields}, **changes})


def plain(name: str) -> ModelPipeline:
    """A small regression, for what is about processes and not about models."""
    return ModelPipeline(
        name=name,
        source=Folder(f"{os.environ.get('LOOP_LANDING') or HOME / 'landing'}/{name}/*.csv", marker=True),
        **{"time": "day", "key": ["id"], "target": "y", "holdout": 1, "metrics": ["rmse"], "pages": "never"},
        estimator="sklearn.linear_model.Ridge",
        retraining={"min_new_rows": 1, "cool_down": 0, "budget": 1_000},
    )


arm()
names = os.environ["LOOP_MODELS"].split()
models = [on_files(name) if name.startswith(tuple(FOUND_IN)) else plain(name) for name in names]
defs = dg.Definitions.merge(
    *(model.build_defs() for model in models),
    dg.Definitions(
        resources=resources,
        sensors=[
            sensor(minimum_interval_seconds=SECONDS)
            for sensor in (new_data_sensor, retraining_sensor, registry_watch_sensor)
        ],
        schedules=retraining_schedules(),
        executor=dg.in_process_executor,
    ),
)
