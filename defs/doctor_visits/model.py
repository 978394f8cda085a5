"""Whether a person sees a doctor in a year (RAND Health Insurance Experiment); in random order, so nothing drifts."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from mlops_assets import Frame, ModelPipeline, Retraining, Search

if TYPE_CHECKING:
    import pandas as pd

HERE = Path(__file__).parent
ROWS_A_BATCH = 1_000


def randhie() -> "pd.DataFrame":
    """20,190 person-years from the file that statsmodels carries (public domain), in file order."""
    import pandas as pd

    package = find_spec("statsmodels")  # its file is read without importing it, which would cost a second
    assert package is not None and package.origin is not None
    frame = pd.read_csv(Path(package.origin).parent / "datasets" / "randhie" / "randhie.csv")
    return frame.assign(any_visit=(frame["mdvis"] > 0).astype(int), row=range(len(frame)))


def shuffled_batches() -> "Iterator[tuple[str, pd.DataFrame]]":
    """Batches of 1,000 rows in a seeded random order."""
    frame = randhie().sample(frac=1, random_state=20)
    for number, start in enumerate(range(0, len(frame), ROWS_A_BATCH), start=1):
        yield f"batch-{number:02d}", frame.iloc[start : start + ROWS_A_BATCH].reset_index(drop=True)


@dg.definitions
def doctor_visits() -> dg.Definitions:
    return ModelPipeline(
        name="doctor_visits",
        description="Probability that a person sees a doctor at least once in a year.",
        source=Frame(shuffled_batches),
        key=["row"],
        target="any_visit",
        drop=["mdvis"],
        expectations=str(HERE / "expectations.yaml"),
        estimator="sklearn.ensemble.HistGradientBoostingClassifier",
        params={"max_iter": 60},
        search=Search({"learning_rate": [0.03, 0.1], "max_leaf_nodes": [7, 15]}, method="grid", folds=3),
        holdout=3,
        metrics=["log_loss", "roc_auc", "accuracy"],
        slices=["idp"],
        retraining=Retraining(first_after=8),
        owners=["team:health"],
    ).build_defs()
