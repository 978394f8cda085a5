"""Whether a refit pays: each batch scored by the version that was judged before it came, and by its refit.

    OMP_NUM_THREADS=1 python benchmarks/refit.py bike_demand electricity hotel_cancellations

For each batch after the first training, a model is searched and fitted on the training set of that day as the step
`challenger` does it, and once more, with the parameters that were found, on its training and holdout rows. Both score
the batch that comes next. After a refit one batch must be learnt and one held out before the next training, so "every
second batch" gives each refit two batches to score. Training sets are those that an example declares, and those without
`window` and `holdout`.
"apart": how far the refit is from the judged version on the holdout, at most, as a share of the error that the judged
version has there; the gate `agrees` refuses more than 1. `--json FILE` writes the same.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

REPOSITORY = Path(__file__).parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from policies import EXAMPLES, example, stored  # noqa: E402

from mlops_assets.declaration import Declaration  # noqa: E402
from mlops_assets.modelling.manifest import BatchInfo, Manifest  # noqa: E402
from mlops_assets.modelling.splits import split_in_time  # noqa: E402
from mlops_assets.records.batches import BatchLedger, batch_info  # noqa: E402
from mlops_assets.records.model_records import ModelRecords  # noqa: E402
from mlops_assets.records.rows import Rows, read_holdout, read_train  # noqa: E402
from mlops_assets.resources.storage import Storage  # noqa: E402

DEFAULTS = {"window": None, "holdout": None}


@dataclass(frozen=True)
class Life:
    """A model over its batches: the first metric of each by the judged version, its refit, a refit of two."""

    model: str
    training_set: str
    metric: str
    greater_is_better: bool
    judged: list[float]
    refitted: list[float]
    seldom: list[float]
    apart: list[float]

    def row(self) -> dict[str, Any]:
        """One row of the table; "better" counts the batches that the refit scores better."""
        pairs = zip(self.judged, self.refitted, strict=True)
        better = sum((after > before) == self.greater_is_better for before, after in pairs)
        means = (sum(values) / len(values) for values in (self.judged, self.refitted, self.seldom))
        before, after, seldom = means
        return {
            "model": self.model,
            "training set": self.training_set,
            "metric": self.metric,
            "judged": round(before, 4),
            "refitted": round(after, 4),
            "change": f"{after / before - 1:+.1%}",
            "every second batch": f"{seldom / before - 1:+.1%}",
            "better": f"{better} of {len(self.judged)}",
            "apart": round(max(self.apart), 2),
        }


def main(argv: list[str] | None = None) -> int:
    """Replay each example and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", choices=EXAMPLES)
    parser.add_argument("--json", type=Path, help="a file for the figures")
    arguments = parser.parse_args(argv)
    lives = []
    for name in arguments.models:
        model = example(name)
        with tempfile.TemporaryDirectory() as home:
            storage = stored(model, Path(home))
            lives.append(lived(model, storage, "as declared"))
            lives.append(lived(model.model_copy(update=DEFAULTS), storage, "defaults"))
    print(pd.DataFrame([life.row() for life in lives]).to_string(index=False))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(life) for life in lives]))
    return 0


def lived(model: Declaration, storage: Storage, training_set: str) -> Life:
    """Each batch after the first training, scored by both."""
    from mlops_assets.modelling.metrics import metric

    infos = [batch_info(each) for each in BatchLedger(storage, model.name).all()]
    first = metric(model.metrics[0])
    life = Life(model.name, training_set, first.name, first.greater_is_better, [], [], [], [])
    kept = None
    for position in range(model.retraining.first_after, len(infos)):
        judged, refitted, apart = fitted(model, storage, infos[:position])
        rows = read_holdout(ModelRecords(model, storage), Manifest((), tuple(infos[position : position + 1])))
        kept = refitted if len(life.judged) % 2 == 0 else kept
        for values, each in ((life.judged, judged), (life.refitted, refitted), (life.seldom, kept)):
            values.append(score(first, each, rows))
        life.apart.append(apart)
    return life


def fitted(model: Declaration, storage: Storage, known: Sequence[BatchInfo]) -> tuple[Any, Any, float]:
    """The version of that day, its refit, and how far apart they are on the holdout."""
    from mlops_assets.modelling.agreement import refit
    from mlops_assets.modelling.feature_worth.distances import distances
    from mlops_assets.modelling.predictions import predict
    from mlops_assets.modelling.problem import problem_of

    split = split_in_time(known, model.holdout, model.window)
    train = read_train(ModelRecords(model, storage), split)
    holdout = read_holdout(ModelRecords(model, storage), split)
    everything = read_train(ModelRecords(model, storage), Manifest((*split.train, *split.holdout), ()))
    found, problem = searched(model, train), problem_of(train.y, model.problem)
    judged, again = (
        refit(model.estimator, model.params, found, rows.X, rows.y, problem, model.seed) for rows in (train, everything)
    )
    far = distances(holdout.y, predict(judged, holdout.X), predict(again, holdout.X))
    return judged, again, far.apart / far.error


def searched(model: Declaration, rows: Rows) -> dict[str, Any]:
    """The parameters that the declared search finds."""
    from mlops_assets.modelling.fitting.estimators import build
    from mlops_assets.modelling.fitting.search import search
    from mlops_assets.modelling.problem import problem_of
    from mlops_assets.modelling.splits import time_folds

    if model.search is None:
        return {}
    pipeline = build(model.estimator, model.params, rows.X, problem_of(rows.y, model.problem), model.seed)
    folds = time_folds(rows.batch, model.search.folds)
    options = (model.search.space, model.search.method, model.search.trials, model.metrics[0], model.seed)
    return search(pipeline, rows.X, rows.y, folds, *options).params


def score(first: Any, fitted: Any, rows: Rows) -> float:
    """The first metric on a batch."""
    from mlops_assets.modelling.predictions import predict

    return float(first.function(rows.y.to_numpy(), predict(fitted, rows.X)))


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(main())
