"""Whether a hotel booking is cancelled (two hotels in Portugal, 2015-2017): guests, agents and deposits change."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets import Frame, Gates, ModelPipeline, Retraining

if TYPE_CHECKING:
    import pandas as pd

HERE = Path(__file__).parent
DATA = Path(os.environ.get("MLOPS_TEST_DATA", HERE.parents[2] / "shared" / "data"))
AFTERWARDS = [
    *("reservation_status", "reservation_status_date"),  # the answer
    *("assigned_room_type", "required_car_parking_spaces"),  # known at check-in: no cancelled booking has a car
    "booking_changes",  # counted until arrival or cancellation
]


def bookings() -> "pd.DataFrame":
    """One row for each booking, without exact repetitions; `arrival` is the first day of the stay."""
    import pandas as pd

    frame = pd.read_csv(
        DATA / "hotel_bookings" / "hotel_bookings.csv.gz",
        na_values=["NULL", "NA", "Undefined"],
        keep_default_na=False,
        dtype={"agent": "str", "company": "str"},  # numbers that name, not count
    ).drop_duplicates()
    year, month, day = (frame.pop(f"arrival_date_{part}").astype("str") for part in ("year", "month", "day_of_month"))
    arrival = pd.to_datetime(year + month + day, format="%Y%B%d")
    return frame.drop(columns="arrival_date_week_number").assign(arrival=arrival)


@dg.definitions
def hotel_cancellations() -> dg.Definitions:
    return ModelPipeline(
        name="hotel_cancellations",
        description="Probability that a booking is cancelled before the guest arrives.",
        source=Frame(bookings, period="month"),
        time="arrival",
        target="is_canceled",
        drop=AFTERWARDS,
        expectations=str(HERE / "expectations.yaml"),
        estimator="sklearn.ensemble.HistGradientBoostingClassifier",
        window=6,
        holdout=1,
        metrics=["log_loss", "roc_auc", "accuracy"],
        slices=["hotel", "market_segment"],
        gates=Gates(beats=["dummy", "linear"], minimum={"roc_auc": 0.7}),
        retraining=Retraining(first_after=7),  # the window and the holdout
        owners=["team:revenue"],
    ).build_defs()
