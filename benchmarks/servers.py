"""What a deployment asks its servers for: `python benchmarks/servers.py --requests`.

Prints the requests to MLflow, a server with basic auth, of a training and of batch runs: of the host that trained, of
another host at its first batch, and of that host at its second. Each run is a process of its own, as a job is.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pandas as pd

REPOSITORY = Path(__file__).parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests")]

from support.servers.mlflow import MlflowServer, mlflow_server  # noqa: E402

RUN = """
import sys
from pathlib import Path
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from support.deployment import Deployment, why
from support.synthetic import rows

home, address, host, what = Path(sys.argv[1]), *sys.argv[2:]
registry = MlflowRegistry(tracking_uri=address, model_cache=str(home / host))
model = Deployment(home, registry=registry).model("measured")
if what == "prepare":
    model.prepare(**{f"b{number}": rows(number) for number in (1, 2, 3)})
else:
    number = what.removeprefix("b")
    result = model.train() if what == "train" else model.take_in(model.land(what, rows(int(number))))
    assert result.success, why(result)
"""
RUNS = {
    "training": ("first host", "train"),
    "batch run, on the host that trained": ("first host", "b4"),
    "batch run, the first on another host": ("second host", "b5"),
    "batch run, the second there": ("second host", "b6"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", action="store_true", help="count the requests to MLflow")
    parser.add_argument("--routes", action="store_true", help="print the requests of each run by route")
    asked = parser.parse_args()
    if not asked.requests:
        parser.error("nothing to do: pass --requests")
    with tempfile.TemporaryDirectory(prefix="servers_") as place:
        home = Path(place)
        with mlflow_server(home / "mlflow", auth=True) as server:
            run(home, server, "first host", "prepare")
            counts = {name: requests(home, server, *what) for name, what in RUNS.items()}
    print(pd.Series({name: routes.total() for name, routes in counts.items()}, name="requests").to_string())
    if asked.routes:
        for name, routes in counts.items():
            print(f"\n{name}", *(f"{count:4d} {route}" for route, count in routes.most_common()), sep="\n")


def requests(home: Path, server: MlflowServer, host: str, what: str) -> Counter[str]:
    """Run one job and count what the server's log says meanwhile, by method and path, ids left out."""
    before = len(server.log.read_text())
    run(home, server, host, what)
    lines = re.findall(r'"([A-Z]+ [^ ?"]+)[^"]* HTTP/', server.log.read_text()[before:])
    return Counter(re.sub(r"[0-9a-f]{32}", "ID", line) for line in lines)


def run(home: Path, server: MlflowServer, host: str, what: str) -> None:
    """Run one job in a process of its own."""
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
    command = [sys.executable, "-c", RUN, str(home), server.url, host, what]
    subprocess.run(
        command, check=True, env={**os.environ, **server.client, "PYTHONPATH": path}, stderr=subprocess.DEVNULL
    )


if __name__ == "__main__":
    main()
