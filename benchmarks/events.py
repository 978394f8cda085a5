"""What the events of a run cost in SQLite, with Dagster's storage and with `SqliteStorage`, in turn.

`python benchmarks/events.py [--pairs 5]`. A batch run of the job of `workload.py`, again and again in a process that
has imported everything. Prints medians: events, connections that were opened, seconds, and processor seconds.
"""

import argparse
import collections
import json
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]

import dagster as dg  # noqa: E402
import overhead  # noqa: E402
import pandas as pd  # noqa: E402
import workload  # noqa: E402

NEWEST = f"batch-{workload.BATCHES:02d}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--json", type=Path, help="a file for the rows")
    asked = parser.parse_args()
    opened = counted_connections()
    with tempfile.TemporaryDirectory(prefix="events_") as place:
        home = Path(place)
        overhead.prepare(home)
        os.environ["OVERHEAD_HOME"] = place
        from location import defs  # reads the folder when it is imported

        logging.disable(logging.CRITICAL)
        (home / "own").mkdir()
        overhead.write_settings(home / "own", storage={"sqlite": {"base_dir": str(home / "own")}})
        instances = {
            name: dg.DagsterInstance.from_config(str(home / folder))
            for name, folder in {"Dagster's own": "own", "SqliteStorage": "dagster"}.items()
        }
        train(defs, instances["SqliteStorage"])
        rows = []
        for pair in range(asked.pairs + 1):
            for name, instance in instances.items():
                rows.append({"storage": name, "pair": pair, **measured(defs, instance, opened)})
    measured_pairs = pd.DataFrame(rows).query("pair > 0").drop(columns="pair")
    table = measured_pairs.groupby("storage", sort=False).median().round(2).reset_index()
    print(table.to_string(index=False))
    if asked.json:
        asked.json.write_text(json.dumps({"events": table.to_dict("records")}))


def train(defs: dg.Definitions, instance: dg.DagsterInstance) -> None:
    """Take in the batches that are trained on, and train."""
    keys = [f"batch-{number:02d}" for number in range(workload.BATCHES)]
    for key in keys:
        run(defs, instance, "overhead_batch", key)
    run(defs, instance, "overhead_training", None)


def measured(
    defs: dg.Definitions, instance: dg.DagsterInstance, opened: "collections.Counter[str]"
) -> dict[str, float]:
    """Run the newest batch; return what it cost."""
    before, used, begin = opened.total(), time.process_time(), time.perf_counter()
    run_id = run(defs, instance, "overhead_batch", NEWEST)
    return {
        "events": len(instance.all_logs(run_id)),
        "connections": opened.total() - before,
        "s": time.perf_counter() - begin,
        "processor s": time.process_time() - used,
    }


def run(defs: dg.Definitions, instance: dg.DagsterInstance, job: str, key: str | None) -> str:
    """Run a job in this process; return the key of the run."""
    if key:
        instance.add_dynamic_partitions("overhead_batches", [key])
    result = defs.resolve_job_def(job).execute_in_process(instance=instance, partition_key=key)
    assert result.success
    return result.run_id


def counted_connections() -> "collections.Counter[str]":
    """Count, by file, the connections to SQLite that are opened from now on."""
    opened: collections.Counter[str] = collections.Counter()
    sys.addaudithook(
        lambda event, arguments: opened.update(map(str, arguments[:1])) if event == "sqlite3.connect" else None
    )
    return opened


if __name__ == "__main__":
    main()
