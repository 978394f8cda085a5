"""A batch of 20,000,000 rows x 20 columns from dataset to performance in little memory.

Run it by `python benchmarks/beyond_memory.py`.
Writes the batch as one parquet file, some rows at a time, trains a champion on three small batches, and takes the
large one in by `<model>_batch` in a process of its own. That process is watched: once its resident memory (of all its
threads and children) exceeds the limit it is killed. Prints the peak in MB and the seconds of each step.

With `--train` a fifth as many rows follow as a later batch, and the next version is trained on the large batch and
judged on the later one, in another watched process.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
AT_ONCE = 200_000
NUMBERS = [f"x{number:02d}" for number in range(14)]
TEXTS = ["colour", "shop"]
SMALL = 20_000
QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--limit-mb", type=float, default=2_000)
    parser.add_argument("--train", action="store_true", help="train on the large batch, judge on a later one")
    parser.add_argument("--memory-mb", type=float, help="Limits(memory_mb=...); else its default")
    parser.add_argument("--estimator", default="sklearn.linear_model.LogisticRegression")
    parser.add_argument("--home", type=Path, help="a folder on a disk with 15 GB for 20,000,000 rows; else TMPDIR")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        return step(asked)
    with tempfile.TemporaryDirectory(prefix="beyond_memory_", dir=asked.home) as place:
        home = Path(place)
        shutil.copy(HERE.parent / "dagster.yaml", home)
        (home / "landing").mkdir()
        (home / "tmp").mkdir()
        for number in range(3):
            write(home / "landing" / f"b{number}.parquet", SMALL, number)
        watched(home, "small", float("inf"), asked)
        write(home / "landing" / "large.parquet", asked.rows, 3)
        size = (home / "landing" / "large.parquet").stat().st_size / 1e6
        figures = {"beyond_memory": {"rows": asked.rows, **watched(home, "large", asked.limit_mb, asked)}}
        print(f"{asked.rows:,} rows x 20 columns, {size:,.0f} MB on disk: {figures['beyond_memory']}")
        if asked.train:
            write(home / "landing" / "later.parquet", asked.rows // 5, 4)
            watched(home, "later", asked.limit_mb, asked)
            figures["training_beyond_memory"] = watched(home, "train", asked.limit_mb, asked)
            print(f"training: {figures['training_beyond_memory']}")
        if asked.json:
            asked.json.write_text(json.dumps(figures))
    return None


def write(path: Path, rows: int, number: int) -> None:
    """Write a seeded batch, in order of time, some rows at a time."""
    writer = None
    for start in range(0, rows, AT_ONCE):
        count = min(AT_ONCE, rows - start)
        table = pa.Table.from_pandas(piece(number, start, count, rows), preserve_index=False)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def piece(number: int, start: int, count: int, rows: int) -> pd.DataFrame:
    """Return rows of a batch: a key, a time, 14 numbers of which some are missing, two texts, a boolean, a target."""
    random = np.random.default_rng([number, start])
    X = random.normal(size=(count, len(NUMBERS)))
    frame = pd.DataFrame(X, columns=NUMBERS)
    frame["y"] = (X[:, 0] + X[:, 1] + random.normal(size=count) > 0).astype("int64")
    frame["x13"] = frame["x13"].where(random.random(count) > 0.05)
    frame["colour"] = random.choice(["red", "green", "blue"], count)
    frame["shop"] = random.choice([f"shop {number:03d}" for number in range(200)], count)
    frame["member"] = random.random(count) < 0.4
    frame["id"] = np.arange(start, start + count) + number * 10**9
    day = pd.Timestamp("2024-01-01") + pd.Timedelta(days=number)
    seconds = (np.arange(start, start + count) / rows * 86_000_000_000).astype("timedelta64[us]")
    return frame.assign(at=(day + pd.to_timedelta(seconds)).astype("datetime64[us]"))


def watched(home: Path, name: str, most: float, asked: argparse.Namespace) -> dict[str, object]:
    """Run a step in a process of its own; return its peak of resident memory and the seconds that it took."""
    command = [sys.executable, __file__, "--home", str(home), "--step", name, "--estimator", asked.estimator]
    if asked.memory_mb:
        command += ["--memory-mb", str(asked.memory_mb)]
    environment = {**os.environ, "TMPDIR": str(home / "tmp"), "DAGSTER_HOME": str(home), "OMP_NUM_THREADS": "1"}
    begin, peak = time.monotonic(), 0.0
    process = subprocess.Popen(command, env=environment)
    ended = threading.Event()
    threading.Thread(target=lambda: (process.wait(), ended.set()), daemon=True).start()
    while not ended.wait(0.02):
        peak = max(peak, resident(process.pid))
        if peak > most:
            process.kill()
            raise SystemExit(f"{name}: killed after {time.monotonic() - begin:.0f} s at {peak:,.0f} MB")
    if process.returncode:
        raise SystemExit(f"{name}: ended with {process.returncode}; its peak was {peak:,.0f} MB")
    return {"peak MB": round(peak), "seconds": round(time.monotonic() - begin)}


def resident(pid: int) -> float:
    """Return the resident memory of a process and its children in MB; 0 once it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6 + sum(resident(int(child)) for child in children)


def step(asked: argparse.Namespace) -> None:
    """Take in batches, or train, as runs of Dagster in this process."""
    import dagster as dg

    from mlops_assets import Folder, Limits, ModelPipeline
    from mlops_assets.assets.shared.keys import batches
    from mlops_assets.resources import BatchFiles, GreatExpectations, MlflowRegistry, Storage

    home, name = asked.home, asked.step
    limits = Limits(max_mb=1e6, max_rows=10**9, max_unpacked_mb=1e6)
    if asked.memory_mb:
        limits = limits.model_copy(update={"memory_mb": asked.memory_mb})
    model = ModelPipeline(
        name="large",
        source=Folder(str(home / "landing" / "*.parquet"), limits=limits),
        time="at",
        key=["id"],
        target="y",
        estimator=asked.estimator,
        metrics=["roc_auc", "log_loss"],
        holdout=1,
        expectations=suite(),
        pages="never",
    )
    resources = {
        "mlops_storage": Storage(root=str(home / "storage")),
        "mlops_batches": BatchFiles(root=str(home / "storage")),
        "mlflow_registry": MlflowRegistry(tracking_uri=f"sqlite:///{home / 'mlflow.db'}", artifact_root=str(home)),
        "great_expectations": GreatExpectations(),
    }
    defs = dg.Definitions.merge(model.build_defs(), dg.Definitions(resources=resources))
    with dg.DagsterInstance.get() as instance:
        for key in {"small": ["b0", "b1", "b2"], "train": []}.get(name, [name]):
            instance.add_dynamic_partitions(batches("large").name, [key])
            result = defs.resolve_job_def("large_batch").execute_in_process(
                instance=instance, partition_key=key, run_config=QUIET
            )
            assert result.success
            if name == "large":
                show(result)
        if name in ("small", "train"):
            result = defs.resolve_job_def("large_training").execute_in_process(instance=instance, run_config=QUIET)
            assert result.success
            if name == "train":
                show(result)


def suite() -> list[dict[str, object]]:
    """Return 30 expectations: limits, missing values, categories, uniqueness and a median."""
    kinds = [
        *[("column_values_to_be_between", {"column": name, "min_value": -8, "max_value": 8}) for name in NUMBERS],
        *[("column_values_to_not_be_null", {"column": name, "mostly": 0.9}) for name in NUMBERS[4:]],
        ("column_values_to_be_in_set", {"column": "colour", "value_set": ["red", "green", "blue"]}),
        ("column_values_to_match_regex", {"column": "shop", "regex": "^shop [0-9]{3}$"}),
        ("column_values_to_be_unique", {"column": "id"}),
        ("column_median_to_be_between", {"column": "x00", "min_value": -0.2, "max_value": 0.2}),
        ("column_mean_to_be_between", {"column": "x01", "min_value": -0.2, "max_value": 0.2}),
        ("table_row_count_to_be_between", {"min_value": 1}),
    ]
    return [{"type": f"expect_{kind}", "kwargs": kwargs, "meta": {"severity": "error"}} for kind, kwargs in kinds]


def show(result: object) -> None:
    """Print the seconds of each step and the checks that failed."""
    for event in result.all_events:  # type: ignore[attr-defined]
        if event.is_step_success:
            print(f"{event.step_key}: {event.event_specific_data.duration_ms / 1000:.0f} s")
    checks = result.get_asset_check_evaluations()  # type: ignore[attr-defined]
    print(f"{sum(check.passed for check in checks)} of {len(checks)} checks passed")
    for check in checks:
        if not check.passed:
            print(f"{check.check_name}: {check.description}")


if __name__ == "__main__":
    main()
