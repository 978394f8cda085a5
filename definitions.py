"""This repository's code location: the models in defs/, the resources in resources/, the sensors in sensors/."""

from pathlib import Path

import dagster as dg

from resources import resources
from sensors import retraining_schedules, sensors

defs = dg.Definitions.merge(
    dg.load_from_defs_folder(path_within_project=Path(__file__).parent),
    dg.Definitions(
        resources=resources,
        sensors=sensors,
        schedules=retraining_schedules(),  # of the models that the line before last has built
        executor=dg.in_process_executor,
    ),
)
