"""`mlops-assets why MODEL`: show the last decisions on a model and their evidence."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console

from mlops_assets.cli.code_location import Directory, ModelName, Module, PythonFile, located
from mlops_assets.cli.on_record import OnRecord, decisions
from mlops_assets.cli.output import AsJson, console, literal, say_json, table
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.sensors.stillborn_runs import stillborn_runs
from mlops_assets.text import number


def why(
    model: ModelName,
    last: Annotated[int, typer.Option(min=1, help="How many decisions.")] = 10,
    module: Module = None,
    python_file: PythonFile = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Show the last decisions on a model with their evidence: verdicts, retraining, drift, decay, rejected batches."""
    with located(module, python_file, directory) as location:
        records = location.records(model)
        champion = _champion(records)
        stillborn = stillborn_runs(location.instance, model)
        newest = decisions(location.instance, records, last)
    if as_json:
        runs = None if stillborn is None else str(stillborn)
        say_json({"model": model, "champion": champion, "before_first_step": runs, "decisions": newest})
    else:
        if stillborn is not None:
            console().print(f"[bold red]No run of this model reaches its first step[/]: {literal(str(stillborn))}")
        _show(model, champion, newest)


def _champion(records: ModelRecords) -> dict[str, Any] | None:
    """Return the champion on record; the registry is not asked, so that it may be away."""
    record = records.promotions.champion()
    if record is None:
        return None
    return {"version": record.version, "since": record.done, "by": record.by, "reason": record.reason}


def _show(model: str, champion: Mapping[str, Any] | None, newest: Sequence[OnRecord]) -> None:
    screen = console()
    if champion is None:
        screen.print(f"{model} has no champion.")
    else:
        since = f"{champion['since']} by {champion['by']}: {champion['reason']}"
        screen.print(f"[bold]{model} version {champion['version']}[/bold] is champion since {literal(since)}")
    if not newest:
        screen.print("Nothing was decided yet: no batch was rejected, nothing was trained, no alarm was raised.")
        return
    rows = [(f"{entry.at:%Y-%m-%d %H:%M}", entry.kind, entry.decision, entry.about, _why(entry)) for entry in newest]
    screen.print(table(("when (UTC)", "kind", "decision", "about", "why"), rows))
    for kind in ("verdict", "retraining"):
        with_evidence = [entry for entry in newest if entry.kind == kind and any(entry.evidence.values())]
        compared = [entry for entry in with_evidence if entry.evidence.get("comparison")]  # a rollback has none
        for entry in (compared or with_evidence)[:1]:
            _show_evidence(screen, entry)


def _why(decision: OnRecord) -> str:
    by = f"by {decision.by}: " if decision.by not in ("mlops_assets", "unknown") else ""
    numbers = ", ".join(
        f"{name.replace('_', ' ')} {number(value, 2 if name == 'p' else 4)}" for name, value in decision.numbers.items()
    )
    return by + decision.reason + (f"\n({numbers})" if numbers else "")


def _cell(value: Any) -> Any:
    return number(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _show_evidence(screen: Console, decision: OnRecord) -> None:
    for name, rows in decision.evidence.items():
        if name == "gates" and rows and all(row["passed"] for row in rows):
            screen.print(f"gates: all {len(rows)} passed")
        elif rows:
            title = f"{name} of the {decision.kind} of {decision.at:%Y-%m-%d %H:%M} on {decision.about}"
            screen.print(table(list(rows[0]), ([_cell(row.get(column)) for column in rows[0]] for row in rows), title))
