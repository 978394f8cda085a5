"""Which packages a run imports, beside a bare script: `python benchmarks/imports.py`.

Milliseconds of `-X importtime` by top-level package, each module without what it imports, of our training and batch run
(`dagster job execute`) and of the bare scripts of `overhead.py`. A package below 20 ms in both is in "others". Times
are of the wall: beside other work they are longer, the list of packages is the same.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import overhead
import pandas as pd
import workload

HERE = Path(__file__).parent
LINE = re.compile(r"import time: +(\d+) \| +\d+ \| +(\w+)")
LEAST_MS = 20
NEWEST = f"batch-{workload.BATCHES:02d}"


class Executed:
    """The pack's runs, each as a process of the command line; `Launched` runs them by the webserver."""

    environment = staticmethod(overhead.Launched.environment)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="a file for the rows")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="imports_") as place:
        home = Path(place)
        overhead.prepare(home)
        overhead.take_in_history(home, Executed())
        tables = {}
        for name, argument in {"training": "0", "batch": NEWEST}.items():
            tables[name] = compared(ours(home, name), bare(home, name, argument))
            overhead.reference(home)
            print(f"\n{name} run, ms\n{pd.DataFrame(tables[name]).to_string(index=False)}", flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(tables))


def ours(home: Path, name: str) -> Counter[str]:
    """Execute a job; what its steps import is printed into their captured logs, the rest to standard error."""
    job = ["job", "execute", "-f", str(HERE / "location.py"), "-d", str(HERE), "-j", f"overhead_{name}"]
    tags = ["--tags", json.dumps({"dagster/partition": NEWEST})] if name == "batch" else []
    command = ["-m", "dagster", *job, *tags]
    before = set(captured(home))
    printed = profiled(command, home)
    return by_package("".join([printed, *(file.read_text(errors="replace") for file in set(captured(home)) - before)]))


def captured(home: Path) -> Iterator[Path]:
    """The files of what steps have printed to standard error."""
    return (home / "dagster").rglob("*.err")


def bare(home: Path, name: str, argument: str) -> Counter[str]:
    """Run a bare script twice: the first makes the tables of its database."""
    command = [str(HERE / f"bare_{name}.py"), str(home), argument]
    profiled(command, home)
    return by_package(profiled(command, home))


def profiled(command: list[str], home: Path) -> str:
    environment = os.environ | overhead.Launched.environment(home)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2_000:])
    return done.stderr


def by_package(printed: str) -> Counter[str]:
    """The microseconds of each top-level package."""
    spent: Counter[str] = Counter()
    for microseconds, package in LINE.findall(printed):
        spent[package] += int(microseconds)
    return spent


def compared(ours: Counter[str], bare: Counter[str]) -> list[dict[str, object]]:
    """The packages in the order of what ours has more, after the sum of all."""
    heavy = [package for package in ours | bare if max(ours[package], bare[package]) >= LEAST_MS * 1_000]
    rest = [sum(spent.values()) - sum(spent[package] for package in heavy) for spent in (ours, bare)]
    pairs = [
        ("all", ours.total(), bare.total()),
        *sorted(((each, ours[each], bare[each]) for each in heavy), key=lambda row: row[2] - row[1]),
        ("others", *rest),
    ]
    return [
        {"package": name, "ours": round(a / 1e3), "bare": round(b / 1e3), "more": round((a - b) / 1e3)}
        for name, a, b in pairs
    ]


if __name__ == "__main__":
    main()
