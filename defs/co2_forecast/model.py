"""Weekly CO2 at Mauna Loa (1958-2001), forecast a year ahead: the level rises faster and faster, so models age."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets import Frame, Gates, ModelPipeline, Retraining, Search

if TYPE_CHECKING:
    import pandas as pd

HERE = Path(__file__).parent


def weekly_co2() -> "pd.DataFrame":
    """Weekly averages in ppm from the file that statsmodels carries (public domain); 59 weeks have no value."""
    import pandas as pd

    package = find_spec("statsmodels")  # its file is read without importing it, which would cost a second
    assert package is not None and package.origin is not None
    frame = pd.read_csv(Path(package.origin).parent / "datasets" / "co2" / "co2.csv")
    return frame.assign(week=pd.to_datetime(frame.pop("date").astype(str), format="%Y%m%d"))


def lags(batch: "pd.DataFrame", history: "pd.DataFrame") -> "pd.DataFrame":
    """The level one and two years ago, and the season."""
    import numpy as np
    import pandas as pd

    known = pd.concat([history, batch]).set_index("week")["co2"].ffill(limit=8)
    features = {
        f"co2_{weeks}_weeks_ago": known.reindex(batch["week"] - pd.Timedelta(weeks=weeks)).to_numpy()
        for weeks in (52, 53, 104)
    }
    season = batch["week"].dt.dayofyear.to_numpy() / 365.25 * 2 * np.pi
    for harmonic in (1, 2):
        features[f"sin_{harmonic}"] = np.sin(harmonic * season)
        features[f"cos_{harmonic}"] = np.cos(harmonic * season)
    return pd.DataFrame(features, index=batch.index)


@dg.definitions
def co2_forecast() -> dg.Definitions:
    return ModelPipeline(
        name="co2_forecast",
        description="CO2 at Mauna Loa in ppm, each week of the coming year.",
        source=Frame(weekly_co2, period="year"),
        time="week",
        key=["week"],
        target="co2",
        expectations=str(HERE / "expectations.yaml"),
        features=lags,
        lookback="770D",
        estimator="sklearn.linear_model.Ridge",
        search=Search({"alpha": [0.01, 0.1, 1.0, 10.0]}, method="grid"),
        window=14,
        holdout=2,
        metrics=["rmse", "mae", "r2"],
        gates=Gates(maximum={"rmse": 5.0}),
        retraining=Retraining(first_after=16, cron="0 3 1 * *"),
        owners=["team:climate"],
    ).build_defs()
