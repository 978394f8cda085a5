"""Whether the price of electricity in New South Wales goes up: what drives it changes, and changes back."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets import Frame, Gates, ModelPipeline, Retraining

if TYPE_CHECKING:
    import pandas as pd

HERE = Path(__file__).parent
DATA = Path(os.environ.get("MLOPS_TEST_DATA", HERE.parents[2] / "shared" / "data")) / "elec2" / "elec.csv.gz"


def half_hours() -> "pd.DataFrame":
    """One row for each half hour; the file has no dates, so `time` counts on from where the series begins."""
    import pandas as pd

    frame = pd.read_csv(DATA)
    return frame.assign(time=pd.date_range("1996-05-07", periods=len(frame), freq="30min"))


def with_last_label(batch: "pd.DataFrame", history: "pd.DataFrame") -> "pd.DataFrame":
    """Prices, demands, the weekday, and the label of the half hour before, which is known by then."""
    import pandas as pd

    labels = pd.concat([history, batch]).set_index("time")["class"]
    last = labels.reindex(batch["time"] - pd.Timedelta("30min")).to_numpy(dtype="float64")
    return batch.drop(columns=["time", "class"]).assign(weekday=batch["time"].dt.weekday, last_label=last)


@dg.definitions
def electricity() -> dg.Definitions:
    return ModelPipeline(
        name="electricity",
        description="Whether the price of a half hour lies above the mean of the day before it.",
        source=Frame(half_hours, period="month"),
        time="time",
        key=["time"],
        target="class",
        expectations=str(HERE / "expectations.yaml"),
        features=with_last_label,
        lookback="1h",
        estimator="sklearn.ensemble.HistGradientBoostingClassifier",
        params={"learning_rate": 0.05, "max_leaf_nodes": 15},
        window=6,
        holdout=1,
        metrics=["log_loss", "roc_auc", "accuracy"],
        gates=Gates(beats=["dummy", "previous"], minimum={"roc_auc": 0.8}),
        retraining=Retraining(first_after=7),  # the window and the holdout
        owners=["team:energy"],
    ).build_defs()
