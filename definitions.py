"""This repository's code location: the models in defs/, the resources in resources/, the sensors in sensors/."""

from pathlib import Path

import dagster as dg

from resources import resources
from sensors import retraining_schedules, sensors

models = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
defs = dg.Definitions.merge(
    models,
    dg.Definitions(
        resources=resources, sensors=sensors, schedules=retraining_schedules(), executor=dg.in_process_executor
    ),
)
