"""`mlops-assets segments MODEL`: show which segments of a fleet need somebody, the most urgent first."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from mlops_assets.assets.batch.segments import board_rows
from mlops_assets.cli.code_location import Directory, ModelName, Module, PythonFile, located
from mlops_assets.cli.output import AsJson, console, literal, say_json, table
from mlops_assets.errors import MlopsAssetsError
from mlops_assets.records.segment_watch import current_board
from mlops_assets.text import number


def segments(
    model: ModelName,
    first: Annotated[int, typer.Option(min=1, help="How many segments.")] = 20,
    module: Module = None,
    python_file: PythonFile = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Show which segments of a fleet need somebody, the most urgent first: decay, drift, a failed fit, few rows."""
    with located(module, python_file, directory) as location:
        records = location.records(model)
        if records.model.fleet is None:
            raise MlopsAssetsError(f"{model} declares no fleet, so it has no segments: `why` shows its decisions")
        champion = records.champion
        if champion is None:
            raise MlopsAssetsError(f"{model} has no champion yet: its segments are watched from the first one on")
        board, figures = current_board(records, champion)
    rows = board_rows(board, first)
    if as_json:
        needing = {"needing_somebody": len(board)}
        say_json({"model": model, "version": champion.version, **figures, **needing, "segments_shown": rows})
    else:
        _show(model, champion.version, figures, rows, len(board))


def _show(
    model: str, version: int, figures: Mapping[str, int | str], rows: Sequence[Mapping[str, Any]], needing: int
) -> None:
    screen = console()
    screen.print(
        f"[bold]{model} version {version}[/bold]: {figures['segments']:,} segments, "
        f"{figures['segments_with_own_model']:,} with a model of their own"
    )
    for kind, verb in (("decay", "decayed"), ("drift", "drifted")):
        if f"{kind}_tested" not in figures:
            screen.print(f"No batch was looked at for {kind} yet.")
            continue
        alarms, tested = figures[f"{kind}_alarms"], figures[f"{kind}_tested"]
        batch = literal(figures[f"{kind}_batch"])
        screen.print(f"{alarms:,} {verb} as of batch {batch}, of {tested:,} with rows enough")
    if not rows:
        screen.print("No segment needs anybody.")
        return
    columns = ("segment", "need", "since", "ratio", "p", "rows", "model", "versions kept", "what to do")
    cells = ([_cell(value, 2 if name == "p" else 3) for name, value in row.items()] for row in rows)
    screen.print(table(columns, cells, f"{needing:,} segments need somebody; the first {len(rows):,}"))


def _cell(value: Any, digits: int) -> Any:
    return number(value, digits) if isinstance(value, float) else value
