"""Bikes rented in each hour of 2011 and 2012 in Washington: demand grows, so a frozen model falls behind."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets import Frame, Gates, ModelPipeline, Retraining, Search

if TYPE_CHECKING:
    import pandas as pd

HERE = Path(__file__).parent
DATA = Path(os.environ.get("MLOPS_TEST_DATA", HERE.parents[2] / "shared" / "data")) / "bike_hourly" / "hour.csv.gz"


def hourly_rentals() -> "pd.DataFrame":
    """One row for each hour with weather, calendar and rentals; `timestamp` is when the hour began."""
    import pandas as pd

    frame = pd.read_csv(DATA)
    timestamp = pd.to_datetime(frame.pop("dteday")) + pd.to_timedelta(frame["hr"], unit="h")
    # A row number and the calendar year only say how far a row lies beyond the training rows.
    return frame.drop(columns=["instant", "yr", "mnth"]).assign(timestamp=timestamp)


@dg.definitions
def bike_demand() -> dg.Definitions:
    return ModelPipeline(
        name="bike_demand",
        description="Bikes rented in an hour, from the calendar and the weather.",
        source=Frame(hourly_rentals, period="month"),
        time="timestamp",
        key=["timestamp"],
        target="cnt",
        drop=["casual", "registered", "season"],  # the parts of the target; what six months cannot tell
        expectations=str(HERE / "expectations.yaml"),
        estimator="sklearn.ensemble.HistGradientBoostingRegressor",
        search=Search({"max_leaf_nodes": [15, 31]}, method="grid", folds=3),
        window=6,  # months; demand grows, and older ones only drag the model down
        holdout=1,
        metrics=["rmse", "mae", "r2"],
        slices=["season", "workingday"],
        gates=Gates(beats=["dummy", "linear"], minimum={"r2": 0.5}),
        retraining=Retraining(first_after=7),  # the window and the holdout
        owners=["team:mobility"],
    ).build_defs()
