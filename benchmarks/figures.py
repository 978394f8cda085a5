"""Every figure of README and docs, taken from the recorded rows of the benchmarks: `make figures`.

    python benchmarks/figures.py                  prints the figures and writes them into the pages
    python benchmarks/figures.py --run overhead   runs this benchmark first, and records its rows

The rows stand in figures.json, each table with the command that printed it and the day. A page holds a figure between
`<!-- figure: training_ratio -->` and `<!-- end -->`, a table between `<!-- table: overhead -->` and `<!-- end -->`.
"""

import argparse
import datetime
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
RECORD = Path(__file__).with_name("figures.json")
PAGES = ("README.md", "docs/figures.md", "docs/comparison.md", "docs/how-to/warm-runs.md")
COMMANDS = {
    "overhead": "overhead.py",
    "gate_errors": "gate_errors.py --draws 2000",
    "alarm_errors": "alarm_errors.py --draws 2000",
    "decay_errors": "decay_errors.py --draws 2000",
    "closed_loop": "closed_loop.py bike_demand doctor_visits doctor_visits_in_file_order",
    "peers": "peers.py --rounds 3",
    "launches": "launches.py",
    "events": "events.py",
}
"""The benchmarks behind the figures; each takes `--json FILE` for its rows."""

_MARKED = re.compile(r"<!-- (figure|table): (\w+) -->(.*?)<!-- end -->", re.DOTALL)

Row = dict[str, Any]


@dataclass(frozen=True)
class Recorded:
    """The rows of one benchmark by table, the command that printed them, and the day."""

    command: str
    measured: str
    tables: Mapping[str, Sequence[Row]]

    def row(self, table: str, **values: Any) -> Row:
        """Return the one row of a table that has these values."""
        (found,) = [row for row in self.tables[table] if values.items() <= row.items()]
        return found

    def column(self, table: str, name: str) -> list[Any]:
        """Return one column of a table."""
        return [row[name] for row in self.tables[table]]


@dataclass(frozen=True)
class Figure:
    """A figure of a page: what it says, the benchmark that prints it, and how its text is taken from the rows."""

    says: str
    benchmark: str
    text: Callable[[Recorded], str]


def _ratio(what: str) -> Callable[[Recorded], str]:
    return lambda found: f"{found.row('overhead', what=what)['ratio']:.2f}"


def _one_point(column: str, gain: float = -0.01, rows: int = 1_000) -> Callable[[Recorded], str]:
    return lambda found: f"{found.row('one point', gain=gain, rows=rows)[column]:g}%"


def _loop(column: str, model: str = "bike_demand") -> Callable[[Recorded], str]:
    return lambda found: f"{found.row('lives', model=model)[column]:.3g}"


def _range(table: str, column: str) -> Callable[[Recorded], str]:
    return lambda found: f"{min(found.column(table, column)):.2g} to {max(found.column(table, column)):.2g}%"


TRAINING, BATCH, LOADING = "training run, 100,000 x 20", "batch run, 10,000 x 20", "load: ours / an empty defs folder"
FIGURES = {
    "equal_promoted": Figure("an equal challenger is promoted", "gate_errors", _range("equal", "promoted")),
    "worse_promoted": Figure(
        "a challenger one point worse is promoted, 1,000 rows", "gate_errors", _one_point("promoted")
    ),
    "worse_by_usual_rule": Figure('the same by the rule "better or equal"', "gate_errors", _one_point(">=")),
    "worse_promoted_5000": Figure(
        "a challenger one point worse is promoted, 5,000 rows", "gate_errors", _one_point("promoted", rows=5_000)
    ),
    "worse_by_usual_rule_5000": Figure(
        'the same by the rule "better or equal"', "gate_errors", _one_point(">=", rows=5_000)
    ),
    **{
        f"better_promoted_{rows}": Figure(
            f"a challenger one point better is promoted, {rows:,} rows",
            "gate_errors",
            _one_point("promoted", 0.01, rows),
        )
        for rows in (200, 1_000, 5_000)
    },
    "false_alarms": Figure(
        "drift alarms on batches without drift, at most",
        "alarm_errors",
        lambda found: f"{max(found.column('null', 'per 100')):g}%",
    ),
    "drift_seen": Figure(
        "batches in which a shift of 0.1 sd in a tenth of 20 features is seen",
        "alarm_errors",
        lambda found: f"{found.row('power', features=20, rows=5_000)['seen per 100']:g}%",
    ),
    "drift_seen_100": Figure(
        "the same with 100 features",
        "alarm_errors",
        lambda found: f"{found.row('power', features=100, rows=5_000)['seen per 100']:g}%",
    ),
    "decay_false_alarms": Figure(
        "decay in two of the newest three batches without decay", "decay_errors", _range("null", "0.1, 2 of 3")
    ),
    "loop_batches": Figure("bike_demand: batches after the first training", "closed_loop", _loop("batches")),
    "loop_trainings": Figure("bike_demand: retrainings", "closed_loop", _loop("retrainings")),
    "loop_error": Figure("bike_demand: mean RMSE of the loop", "closed_loop", _loop("mean")),
    "loop_error_always": Figure("the same, retrained each batch", "closed_loop", _loop("mean, retrained each batch")),
    "training_ratio": Figure("a training run, times a bare script", "overhead", _ratio(TRAINING)),
    "batch_ratio": Figure("a batch run, times a bare script", "overhead", _ratio(BATCH)),
    "warm_training_ratio": Figure("a training run, times a bare script, warm", "overhead", _ratio(f"{TRAINING}, warm")),
    "warm_batch_ratio": Figure("a batch run, times a bare script, warm", "overhead", _ratio(f"{BATCH}, warm")),
    "loading_ratio": Figure("loading, times an empty code location", "overhead", _ratio(LOADING)),
}
"""Every figure that a page may name."""


def recorded() -> dict[str, Recorded]:
    """Return what figures.json holds, by benchmark."""
    return {name: Recorded(**found) for name, found in json.loads(RECORD.read_text(encoding="utf-8")).items()}


def texts(record: Mapping[str, Recorded]) -> dict[str, str]:
    """Return the text of every figure."""
    return {name: figure.text(record[figure.benchmark]) for name, figure in FIGURES.items()}


def filled_in(page: str, record: Mapping[str, Recorded]) -> str:
    """Return the page with the recorded figures and tables between its marks."""
    figures = texts(record)

    def fill(marked: re.Match[str]) -> str:
        kind, name, _ = marked.groups()
        if name in COMMANDS and name not in record:
            return marked[0]  # not measured yet: the page says what it has instead
        text = figures[name] if kind == "figure" else f"\n\n{TABLES[name](record)}\n\n"
        return f"<!-- {kind}: {name} -->{text}<!-- end -->"

    return _MARKED.sub(fill, page)


def _all_figures(record: Mapping[str, Recorded]) -> str:
    rows = [
        (figure.says, text, f"`{record[figure.benchmark].command}`", record[figure.benchmark].measured)
        for figure, text in zip(FIGURES.values(), texts(record).values(), strict=True)
    ]
    return _markdown(("figure", "value", "printed by", "measured"), rows)


def _overhead(record: Mapping[str, Recorded]) -> str:
    rows = [
        (row["what"], f"{row['ours s']:.2f}", f"{row['other s']:.2f}", f"{row['ratio']:.2f}", _span(row))
        for row in record["overhead"].tables["overhead"]
    ]
    return _markdown(("", "ours, s", "bare, s", "ratio", "ratios of the pairs"), rows)


def _span(row: Row) -> str:
    return f"{row['least']:.2f} to {row['most']:.2f}"


def _peers(record: Mapping[str, Recorded]) -> str:
    found = record["peers"]
    jobs = ("training", "batch")
    by_tool = {
        row["by"]: {job: found.row("peers", job=job, by=row["by"]) for job in jobs} for row in found.tables["peers"]
    }
    head = [""] + [f"{job}{what}" for job in jobs for what in (", s", ", ratio", ", processor ratio")]
    rows = [
        [by, *(text for job in jobs for text in _peer(of_tool[job]))]
        for by, of_tool in sorted(by_tool.items(), key=lambda item: item[1]["training"]["ratio"])
    ]
    return f"Measured on {found.measured} by `{found.command}`.\n\n{_markdown(head, rows)}"


def _peer(row: Row) -> tuple[str, str, str]:
    return f"{row['wall s']:.1f}", f"{row['ratio']:.2f} ({_span(row)})", f"{row['processor ratio']:.2f}"


def _launches(record: Mapping[str, Recorded]) -> str:
    columns = ("what", "median", "least", "most")
    return _markdown(columns, [[str(row[name]) for name in columns] for row in record["launches"].tables["launches"]])


def _events(record: Mapping[str, Recorded]) -> str:
    columns = ("storage", "events", "connections", "s", "processor s")
    return _markdown(columns, [[str(row[name]) for name in columns] for row in record["events"].tables["events"]])


def _closed_loop(record: Mapping[str, Recorded]) -> str:
    columns = ("model", "metric", "batches", "retrainings", "mean", "mean, retrained each batch", "mean, frozen")
    rows = [[str(row[column]) for column in columns] for row in record["closed_loop"].tables["lives"]]
    return _markdown(columns, rows)


TABLES: dict[str, Callable[[Mapping[str, Recorded]], str]] = {
    "figures": _all_figures,
    "overhead": _overhead,
    "closed_loop": _closed_loop,
    "peers": _peers,
    "launches": _launches,
    "events": _events,
}
"""Every table that a page may ask for."""


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows))


def measure(benchmark: str) -> Recorded:
    """Run a benchmark and return what it printed."""
    program, *arguments = COMMANDS[benchmark].split()
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.json"
        command = [sys.executable, f"benchmarks/{program}", *arguments, "--json", str(rows)]
        subprocess.run(command, check=True, cwd=REPOSITORY)
        tables = {name: found for name, found in json.loads(rows.read_text()).items() if name != "whole"}
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    return Recorded(f"python benchmarks/{COMMANDS[benchmark]}", day, tables)


def main() -> int:
    """Print every figure and write it into the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", nargs="*", choices=list(COMMANDS), default=[], help="measure these anew")
    record = recorded()
    record |= {name: measure(name) for name in parser.parse_args().run}
    kept = {name: vars(found) for name, found in sorted(record.items())}
    RECORD.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    print(_all_figures(record))
    for page in (REPOSITORY / name for name in PAGES):
        page.write_text(filled_in(page.read_text(encoding="utf-8"), record), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
