"""Which sensors this deployment runs, each for all of its models; schedules come from the models' declarations."""

from mlops_assets.sensors import (
    alerts_sensor,
    new_data_sensor,
    registry_watch_sensor,
    retraining_schedules,
    retraining_sensor,
)

sensors = [new_data_sensor(), retraining_sensor(), registry_watch_sensor(), alerts_sensor()]
__all__ = ["retraining_schedules", "sensors"]
