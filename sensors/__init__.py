"""Which sensors this deployment runs."""

from mlops_assets.sensors.new_data import new_data_sensor

sensors = [new_data_sensor()]
