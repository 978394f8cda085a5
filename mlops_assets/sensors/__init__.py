"""The sensors and schedules: one sensor of each kind for all models of a code location."""

from typing import TYPE_CHECKING

from mlops_assets.faces import face

if TYPE_CHECKING:
    from mlops_assets.sensors.alerts.sensor import alerts_sensor as alerts_sensor
    from mlops_assets.sensors.new_data.sensor import new_data_sensor as new_data_sensor
    from mlops_assets.sensors.registry_watch import registry_watch_sensor as registry_watch_sensor
    from mlops_assets.sensors.retraining.schedules import retraining_schedules as retraining_schedules
    from mlops_assets.sensors.retraining.sensor import retraining_sensor as retraining_sensor

_MODULES = {
    "alerts_sensor": "alerts.sensor",
    "new_data_sensor": "new_data.sensor",
    "registry_watch_sensor": "registry_watch",
    "retraining_schedules": "retraining.schedules",
    "retraining_sensor": "retraining.sensor",
}
__all__ = sorted(_MODULES)
__getattr__ = face("mlops_assets.sensors", _MODULES)
