"""What a fleet of thousands of segments costs in the whole loop; `python benchmarks/fleet.py --costs` prints it.

Each run is a process of its own, from its start to its exit, with this repository's dagster.yaml, MLflow on SQLite and
the default settings. Batches of 40 rows a segment are taken in. A version is trained on six of them, judged on the
seventh and promoted. Two more batches come, in which a tenth of the segments has changed; they are scored and watched.
A second version is trained, in which the others keep the champion's models.
"""

import argparse
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

REPOSITORY = Path(__file__).parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests")]

ROWS = 40
"""Rows of a segment in a batch."""
BATCHES = 7
LATER = 2


def costs(segments: int, workers: int | None, few: int = 50) -> None:
    """Print what the loop of a fleet of so many segments costs, and what a tick costs beside one of a few segments."""
    with tempfile.TemporaryDirectory(prefix="fleet_") as place:
        home = Path(place)
        about = {"segments": segments, "workers": workers}
        print(f"{segments:,} segments, {ROWS * (BATCHES - 1)} training rows each, then {ROWS * (BATCHES - 1 + LATER)}")
        print(pd.DataFrame(list(loop(home / "many", about))).to_string(index=False), flush=True)
        ticks = [run(home / "many", "ticks", about)]
        for _ in loop(home / "few", about | {"segments": few}):
            pass
        ticks.append(run(home / "few", "ticks", about | {"segments": few}))
    print(f"\nA tick of each sensor of which nothing is new, processor s\n{pd.DataFrame(ticks).to_string(index=False)}")


def loop(home: Path, about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a row for each step of the loop."""
    home.mkdir(parents=True)
    land(home, range(BATCHES), about["segments"])
    yield measured(home, "first batch", "batch", about | {"batches": [0]})
    measured(home, "history", "history", about | {"batches": list(range(1, BATCHES))})
    yield measured(home, "first training", "training", about)
    land(home, range(BATCHES, BATCHES + LATER), about["segments"])
    for number in range(BATCHES, BATCHES + LATER):
        row = measured(home, "batch, scored", "batch", about | {"batches": [number]})
    yield row
    yield measured(home, "second training", "training", about)
    yield from run(home, "parts", about)["parts"]


def land(home: Path, numbers: range, segments: int) -> None:
    """Write batches as files that have been there for a minute."""
    (home / "landing").mkdir(exist_ok=True)
    for number in numbers:
        path = home / "landing" / f"batch-{number:02d}.csv"
        batch(number, segments).to_csv(path, index=False)
        os.utime(path, (time.time() - 60, time.time() - 60))


def batch(number: int, segments: int) -> pd.DataFrame:
    """Rows of all segments in order of time; half have a slope of their own, a tenth has one from batch 6 on."""
    random = np.random.default_rng(number)
    segment = np.tile(np.arange(segments), ROWS)
    hour = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.repeat(np.arange(ROWS), segments) + ROWS * number, unit="h")
    X = random.normal(size=(len(segment), 2)).round(4)
    own = (segment % 2 == 0) | ((segment % 10 == 1) & (number >= BATCHES - 1))
    sold = np.where(own, 3.0, 1.0) * X[:, 0] + X[:, 1] + random.normal(size=len(segment))
    return pd.DataFrame({"hour": hour, "store": segment, "price": X[:, 0], "rain": X[:, 1], "sold": sold.round(4)})


def measured(home: Path, what: str, step: str, about: dict[str, Any]) -> dict[str, Any]:
    """Run a step and return its seconds, and how many segments were retrained an hour."""
    begin, before = time.perf_counter(), children()
    told = run(home, step, about)
    wall, processor = time.perf_counter() - begin, children() - before
    row = {"what": what, "processor s": round(processor, 1), "wall s": round(wall, 1)}
    return row | ({"retrainings an hour": round(about["segments"] / wall * 3_600)} if step == "training" else {}) | told


def run(home: Path, step: str, about: dict[str, Any]) -> dict[str, Any]:
    """Run a step in a process of its own and return what it tells."""
    command = [sys.executable, __file__, str(home), step, json.dumps(about)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def fleet_model(home: Path, about: dict[str, Any]) -> Any:
    """The deployed model of a home."""
    from mlops_assets import Fleet, Folder
    from support.deployment import Deployment

    return Deployment(home).model(
        "fleet",
        source=Folder(str(home / "landing" / "*.csv")),
        time="hour",
        key=["hour", "store"],
        target="sold",
        estimator="sklearn.linear_model.Ridge",
        metrics=["rmse"],
        holdout=None,
        fleet=Fleet(by="store"),
        workers=about["workers"],
    )


def do_batch(model: Any, about: dict[str, Any]) -> dict[str, Any]:
    """The job `fleet_batch` as a sensor launches it."""
    for number in about["batches"]:
        assert model.take_in(f"batch-{number:02d}").success
    return {}


def do_history(model: Any, about: dict[str, Any]) -> dict[str, Any]:
    """Take in batches as far as training needs it."""
    for number in about["batches"]:
        assert model.materialize("dataset", "features", batch=f"batch-{number:02d}").success
    return {}


def do_training(model: Any, about: dict[str, Any]) -> dict[str, Any]:
    """The job `fleet_training`, with evaluation and model card."""
    from support.deployment import why

    result = model.train()
    assert result.success, why(result)
    shown = model.shown("challenger")
    return {
        "own": shown["segments_with_own_model"],
        "kept": shown["segments_kept"],
        "promoted": model.champion() == shown["version"],
    }


def do_parts(model: Any, about: dict[str, Any]) -> dict[str, Any]:
    """The parts that belong to the version itself: its size, and the seconds to store, load, score and list it."""
    from mlops_assets.modelling.predictions import predict
    from mlops_assets.resources.mlflow.model_files import load_model, save_model, size_of

    version = model.registry.champion(model.name)
    fitted = model.registry.load(version)
    X = batch(BATCHES + LATER, about["segments"])[["store", "price", "rain"]]
    with tempfile.TemporaryDirectory() as place:
        folder, digests = Path(place) / "model", []
        rows = [
            _timed("store it", lambda: digests.append(save_model(fitted, folder, X))),
            _timed(f"load it, {size_of(folder) / 1e6:.0f} MB", lambda: load_model(folder, digests[0])),
        ]
    rows.append(_timed(f"score {len(X):,} rows", lambda: predict(fitted, X)))
    rows.append(_timed(f"score {about['segments']:,} rows", lambda: predict(fitted, X.tail(about["segments"]))))
    rows.append(_timed("table of all segments", fitted.named_steps["fleet"].table))
    return {"parts": [*rows, *_boosted()]}


def _boosted(segments: int = 50) -> Iterator[dict[str, Any]]:
    """What models that are stored one by one cost: boosted trees, of segments that all have one of their own."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    from mlops_assets.modelling.fleet import FleetModel
    from mlops_assets.resources.mlflow.model_files import load_model, save_model, size_of

    rows = pd.concat([batch(number, 2 * segments) for number in range(BATCHES)], ignore_index=True)
    X, y = rows[["store", "price", "rain"]], rows["sold"]
    fleet = FleetModel(HistGradientBoostingRegressor(random_state=0), "store").fit(X, y)
    with tempfile.TemporaryDirectory() as place:
        folder, digests = Path(place) / "model", []
        row = _timed("store", lambda: digests.append(save_model(fleet, folder, X)))
        yield row | {"what": f"store {len(fleet.models_)} of boosted trees, {size_of(folder) / 1e6:.0f} MB"}
        yield _timed("load them", lambda: load_model(folder, digests[0]))


def do_ticks(model: Any, about: dict[str, Any]) -> dict[str, Any]:
    """The second tick of each sensor, after one that has read the records."""
    import dagster as dg

    from mlops_assets.resources import Alerts
    from sensors import sensors

    resources = dict(model.defs.resources or {}) | {"mlops_alerts": Alerts()}
    defs = dg.Definitions.merge(model.pipeline.build_defs(), dg.Definitions(resources=resources))
    repository, row = defs.get_repository_def(), {"segments": about["segments"]}
    for sensor in sensors:
        cursor = None
        for _ in range(3):
            wanted = {key: resources[key] for key in sensor.required_resource_keys}
            context = dg.build_sensor_context(
                instance=model.instance, cursor=cursor, repository_def=repository, resources=wanted
            )
            begin = time.process_time()
            cursor = sensor.evaluate_tick(context).cursor
            row[sensor.name] = round(time.process_time() - begin, 3)
    return row


def _timed(what: str, call: Callable[[], object]) -> dict[str, Any]:
    begin, wall = time.process_time(), time.perf_counter()
    call()
    processor, wall = time.process_time() - begin, time.perf_counter() - wall
    return {"what": what, "processor s": round(processor, 2), "wall s": round(wall, 2)}


STEPS = {
    "batch": do_batch,
    "history": do_history,
    "training": do_training,
    "parts": do_parts,
    "ticks": do_ticks,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("home", "step", "about"):
        parser.add_argument(name)
    asked = parser.parse_args()
    logging.disable(logging.WARNING)
    about = json.loads(asked.about)
    print(json.dumps(STEPS[asked.step](fleet_model(Path(asked.home), about), about)))
