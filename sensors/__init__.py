"""Which sensors this deployment runs, each for all of its models; schedules come from the models' declarations."""

from mlops_assets.sensors.alerts import alerts_sensor
from mlops_assets.sensors.new_data import new_data_sensor
from mlops_assets.sensors.registry_watch import registry_watch_sensor
from mlops_assets.sensors.retraining import retraining_sensor
from mlops_assets.sensors.schedules import retraining_schedules

sensors = [new_data_sensor(), retraining_sensor(), registry_watch_sensor(), alerts_sensor()]
__all__ = ["retraining_schedules", "sensors"]
