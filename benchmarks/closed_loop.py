"""The loop left to itself on real data: batches land as files one after another, and nobody does anything else.

    python benchmarks/closed_loop.py bike_demand electricity hotel_cancellations

Dagster's daemon and a code server run as in production, except that runs are forked with the libraries imported. For
each model it prints every retraining with what asked for it, every failed run with its reason, and a table:
retrainings, failed runs and the mean of the first metric over the batches, each scored by the champion of its day,
beside a frozen model and one that is retrained after every batch (the same estimator, window and search, fitted
directly and always taken). `--json FILE` writes the same for a test. The models are as they are declared; `--pages`
changes when Evidently draws, which costs about ten seconds for each batch with an alarm. `--defaults` takes holdout and
gates as they are where nothing is declared.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

REPOSITORY = Path(__file__).parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests")]

from mlops_assets.assets.shared.keys import declared  # noqa: E402
from mlops_assets.declaration import Declaration  # noqa: E402
from mlops_assets.records.batches import BatchLedger, batch_info  # noqa: E402
from mlops_assets.records.model_records import ModelRecords  # noqa: E402
from mlops_assets.records.rows import Rows  # noqa: E402
from mlops_assets.resources.storage import Storage  # noqa: E402
from support.daemon import Loop  # noqa: E402

FIRST = {
    "bike_demand": 12,
    "electricity": 7,
    "hotel_cancellations": 7,
    "doctor_visits": 8,
    "doctor_visits_in_file_order": 8,
}
"""How many batches land at once before the first training; the others follow one by one."""


@dataclass
class Life:
    """What became of one model. Means are of the first metric over the batches that came after the first training."""

    model: str
    metric: str
    batches: list[str]
    missing: list[str]
    versions: list[int]
    fired: list[dict[str, str]]
    failed: list[str]
    decay: list[str]
    drift: list[str]
    champions: list[int]
    loop: float
    frozen: float
    always: float

    def row(self) -> dict[str, Any]:
        """One row of the table."""
        return {
            "model": self.model,
            "metric": self.metric,
            "batches": len(self.batches),
            "retrainings": len(self.fired),
            "failed runs": len(self.failed),
            "mean": round(self.loop, 4),
            "mean, retrained each batch": round(self.always, 4),
            "ratio": round(self.loop / self.always, 3),
            "mean, frozen": round(self.frozen, 4),
        }


def main() -> int:
    """Run the lives side by side in one deployment and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", choices=list(FIRST))
    parser.add_argument("--home", type=Path, help="where to keep everything; a temporary folder by default")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    parser.add_argument("--rivals", nargs="*", choices=list(FIRST), help="fit the rivals of these only; default: all")
    parser.add_argument("--again", action="store_true", help="only tell what is in --home from an earlier run")
    parser.add_argument("--defaults", action="store_true", help="no holdout and no gates of the models' own")
    parser.add_argument("--pages", choices=["on_alarm", "always", "never"], help="default: as declared")
    arguments = parser.parse_args()
    changed = {"LOOP_PAGES": arguments.pages or "", "LOOP_DEFAULTS": "1" if arguments.defaults else ""}
    with tempfile.TemporaryDirectory() as temporary:
        home = (arguments.home or Path(temporary)).resolve()
        rivals_of = arguments.models if arguments.rivals is None else arguments.rivals
        lives = live(home, arguments.models, rivals_of, not arguments.again, changed)
    for life in lives:
        print(f"\n{life.model}: champions {life.champions}, drift in {life.drift}, decay in {life.decay}")
        for fire in life.fired:
            print(f"  after {fire['after']}: {fire['asked_by']} -> {fire['verdict']}")
        for failure in life.failed:
            print(f"  failed: {failure}")
    print("\n" + pd.DataFrame([life.row() for life in lives]).to_string(index=False))
    if arguments.json:
        whole = [asdict(life) for life in lives]
        arguments.json.write_text(json.dumps({"lives": [life.row() for life in lives], "whole": whole}))
    return 0


def live(
    home: Path, models: list[str], rivals_of: list[str], land: bool = True, changed: Mapping[str, str] | None = None
) -> list[Life]:
    """Let all batches of these models land, a step for all of them at a time, each step once the last has settled.

    changed: what `loop_location.py` reads from the environment.
    """
    arrivals = {model: list(batches_of(model)) for model in models}
    changed = changed or {}
    loop = Loop(home, models, changed)
    if land:
        with loop:
            for step in range(max(len(arrivals[model]) - FIRST[model] for model in models) + 1):
                for model, batches in arrivals.items():
                    begin, end = (0, FIRST[model]) if step == 0 else (FIRST[model] + step - 1, FIRST[model] + step)
                    for batch, rows in batches[begin:end]:
                        loop.land(model, batch, rows)
                loop.settle()
                print(f"step {step}: champions {[loop.champion(model) for model in models]}", flush=True)
    return [
        told(
            loop, model, [batch for batch, _ in arrivals[model]], model in rivals_of, bool(changed.get("LOOP_DEFAULTS"))
        )
        for model in models
    ]


def batches_of(model: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """The batches of a model in their order, as its own source gives them."""
    source = declare(model).source
    if model == "doctor_visits_in_file_order":
        from defs.doctor_visits.model import ROWS_A_BATCH, randhie

        frame = randhie()
        for number, start in enumerate(range(0, len(frame), ROWS_A_BATCH), start=1):
            yield f"batch-{number:02d}", frame.iloc[start : start + ROWS_A_BATCH]
        return
    for batch in source.look(None).ready:
        yield batch, source.read(batch)


def declare(model: str) -> Declaration:
    """The declaration that the loop's code location takes the model from."""
    from support.loop_location_models import FOUND_IN

    example = next(known for known in FOUND_IN if model.startswith(known))
    getattr(import_module(FOUND_IN[example]), example)()
    return declared(example)


def told(loop: Loop, model: str, batches: list[str], with_rivals: bool, defaults: bool = False) -> Life:
    """The figures of one life, from the records that the loop left; `defaults` as in `--defaults`."""
    declaration = declare(model)
    if defaults:
        declaration = declaration.model_copy(update={"holdout": None})
    scored = loop.scored(model)
    metric = declaration.metrics[0]
    trainings = loop.trainings(model)
    begin = next(number for number, each in enumerate(trainings) if each.verdict == "promote")
    first = batches.index(after(loop.storage, model, trainings[begin].data_version))
    later = batches[first + 1 :]
    frozen = always = float("nan")
    if with_rivals:
        frozen, always = rivals(loop.storage, declaration.model_copy(update={"name": model}), first)
    return Life(
        model=model,
        metric=metric,
        batches=later,
        missing=[batch for batch in later if batch not in scored],
        versions=[int(scored[batch]["version"]) for batch in later if batch in scored],
        fired=[
            {"after": after(loop.storage, model, each.data_version), "asked_by": each.trigger, "verdict": each.verdict}
            for each in trainings[begin + 1 :]
        ],
        failed=loop.failed(model),
        decay=[batch for batch in later if batch in scored and scored[batch]["decay"]],
        drift=loop.drifted(model, later),
        champions=[each.version for each in trainings if each.verdict == "promote"],
        loop=mean([scored[batch][metric] for batch in later if batch in scored]),
        frozen=frozen,
        always=always,
    )


def after(storage: Storage, model: str, data_version: str) -> str:
    """The newest batch that a training knew."""
    from mlops_assets.records.manifests import read_manifest

    return read_manifest(ModelRecords(declared(model), storage), data_version).holdout[-1].key


def rivals(storage: Storage, model: Declaration, first: int) -> tuple[float, float]:
    """Mean of the first metric on the batches after `first`: frozen after it, and retrained after every batch."""
    from mlops_assets.modelling.manifest import Manifest
    from mlops_assets.modelling.metrics import metric
    from mlops_assets.modelling.predictions import predict
    from mlops_assets.modelling.splits import split_in_time
    from mlops_assets.records.rows import read_holdout, read_train

    infos = [batch_info(each) for each in BatchLedger(storage, model.name).all() if each.status == "accepted"]
    score = metric(model.metrics[0]).function

    def after(newest: int, known: int) -> Any:
        """The model fitted as a training does it when `newest` is the last batch, and the champion knows the first."""
        split = split_in_time(
            infos[: newest + 1], model.holdout, model.window, known=[each.key for each in infos[:known]]
        )
        return fit(model, read_train(ModelRecords(model, storage), split))

    def value(fitted: Any, position: int) -> float:
        rows = read_holdout(ModelRecords(model, storage), Manifest((), (infos[position],)))
        return float(score(rows.y.to_numpy(), predict(fitted, rows.X)))

    old = after(first, 0)
    later = range(first + 1, len(infos))
    return mean([value(old, each) for each in later]), mean([value(after(each - 1, each - 1), each) for each in later])


def fit(model: Declaration, rows: Rows) -> Any:
    """Search and fit as the step `challenger` does."""
    from mlops_assets.modelling.fitting import search as searching
    from mlops_assets.modelling.fitting.estimators import build
    from mlops_assets.modelling.problem import problem_of
    from mlops_assets.modelling.splits import time_folds

    pipeline = build(model.estimator, dict(model.params), rows.X, problem_of(rows.y, model.problem), model.seed)
    if model.search is None:
        return searching.fit(pipeline, rows.X, rows.y)
    folds = time_folds(rows.batch, model.search.folds)
    options = (model.search.space, model.search.method, model.search.trials, model.metrics[0], model.seed)
    return searching.search(pipeline, rows.X, rows.y, folds, *options).model


def mean(values: list[float]) -> float:
    """Their mean."""
    return sum(values) / len(values) if values else float("nan")


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "Agg")
    sys.exit(main())
