"""The same jobs by other tools, side by side: `python benchmarks/peers.py [--peers kedro zenml] [--rounds 5]`.

Each round runs the training job of `overhead.py`, later ones its batch job, as a bare script, by the pack with
Dagster's default launcher and with `WarmRunLauncher`, and by each tool in turn. All but the pack call the functions of
`bare_training.py` and `bare_batch.py`, in the steps that the tool's own documentation has: `peers/<tool>/`. The first
round of a job warms up. Each tool has an environment of its own, made at first use from
`peers/requirements/<tool>.txt`, with the libraries in the versions of the pack's. At the end all must have stored the
log losses of the bare script, to six digits, and load.

Kedro, ZenML, Prefect and Metaflow are timed from command to exit; the pack and Dagster from a launch at a running
webserver to the end of the run, as their users launch, with the seconds of webserver and code server in it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import overhead
import pandas as pd
import workload
from peer_runs import HERE, TOOLS, Job, environment_for, environment_of, homes_of_pack, started, versions

NEWEST = f"batch-{workload.BATCHES:02d}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="*", choices=TOOLS, default=TOOLS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="a file for the rows")
    parser.add_argument("--busy", action="store_true", help="measure beside other work; not for figures.json")
    asked = parser.parse_args()
    pythons = {tool: environment_of(tool) for tool in asked.peers}
    load = os.getloadavg()[0]
    if load > overhead.QUIET and not asked.busy:
        raise SystemExit(f"the machine is busy (load {load:.1f}): wait, or pass --busy")
    with tempfile.TemporaryDirectory(prefix="peers_") as place, ExitStack() as open_ones:
        home = Path(place)
        runners = started(home, pythons, open_ones)
        costs = rounds(home, runners, asked.rounds)
        check(home, pythons)
    rows = table(costs, {tool: versions(tool) for tool in asked.peers})
    print(pd.DataFrame(rows).to_string(index=False))
    if asked.json:
        asked.json.write_text(json.dumps({"peers": rows}))


def rounds(home: Path, runners: dict[str, Job], wanted: int) -> pd.DataFrame:
    """Run a job of everyone in turn, one round to warm up and then those that count.

    All trainings come first: once the pack has taken the newest batch in, it would train on other rows.
    """
    found = []
    for job in ("training", "batch"):
        if job == "batch":
            overhead.reference(home)  # the sample of the pack's training rows, for all others
        for number in range(wanted + 1):
            for name, run in runners.items():
                cost = run(job, NEWEST if job == "batch" else str(number))
                print(f"round {number}, {job}, {name}: {cost}", file=sys.stderr, flush=True)
                found.append({"round": number, "job": job, "by": name, **vars(cost)})
    return pd.DataFrame(found).query("round > 0")


def table(costs: pd.DataFrame, peers: dict[str, str]) -> list[dict[str, object]]:
    """The medians of each job and tool, and its ratios to the bare script of the same round."""
    seconds = costs.set_index(["job", "by", "round"])
    rows = []
    for job, by in costs[["job", "by"]].drop_duplicates().itertuples(index=False):
        own, other = seconds.loc[job, by], seconds.loc[job, "bare"]
        ratios = own / other
        rows.append(
            {
                "job": job,
                "by": peers.get(by, by),
                "wall s": round(own["wall"].median(), 2),
                "processor s": round(own["processor"].median(), 2),
                "ratio": round(ratios["wall"].median(), 2),
                "least": round(ratios["wall"].min(), 2),
                "most": round(ratios["wall"].max(), 2),
                "processor ratio": round(ratios["processor"].median(), 2),
            }
        )
    return rows


def check(home: Path, pythons: dict[str, Path]) -> None:
    """All have stored the log losses of the bare script, a newest version that loads, and the same predictions."""
    features = home / "bare" / "reference.parquet"
    expected = stored(home, "bare", Path(sys.executable), features)
    places = {tool: (home, tool, python) for tool, python in pythons.items()}
    pack = {by: (folder, "overhead", Path(sys.executable)) for by, folder in homes_of_pack(home).items()}
    for by, place in (pack | places).items():
        found = stored(*place, features)
        if found != expected:
            raise SystemExit(f"{by} stored other models than the bare script: expected {expected}, got {found}")
    scores = pd.read_parquet(home / "bare" / f"{NEWEST}-predictions.parquet")
    for tool in pythons:
        pd.testing.assert_frame_equal(pd.read_parquet(home / tool / f"{NEWEST}-predictions.parquet"), scores)


def stored(home: Path, name: str, python: Path, features: Path) -> dict[str, object]:
    """What `peers/stored.py` finds, to six digits."""
    database = home / ("mlflow.db" if name == "overhead" else f"{name}.db")
    words = [HERE / "peers" / "stored.py", f"sqlite:///{database}", name, features]
    out = subprocess.run([python, *words], check=True, env=environment_for(home), stdout=subprocess.PIPE, text=True)
    found = json.loads(out.stdout)
    return {"log_loss": [round(loss, 6) for loss in found["log_loss"]], "mean": round(found["mean"], 6)}


if __name__ == "__main__":
    main()
