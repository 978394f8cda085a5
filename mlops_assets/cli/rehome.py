"""`mlops-assets rehome`: make the store of a moved or copied home name its own folder."""

from typing import Annotated

import typer

from mlops_assets.cli.code_location import Directory, Module, PythonFile, located, missing_database
from mlops_assets.cli.output import WRONG, AsJson, console, literal, quietly, say_json, table
from mlops_assets.cli.rehoming import Move, misplaced_models
from mlops_assets.cli.rehoming import rehome as move_artifacts
from mlops_assets.errors import MlopsAssetsError
from mlops_assets.text import counted


def rehome(
    by: Annotated[str, typer.Option(help="Who asks for it.")] = "",
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    module: Module = None,
    python_file: PythonFile = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Make MLflow's SQLite store name the declared folder of artifacts, after a home was moved or copied.

    Without options, list what names another folder; exit code 1 if anything does. With --by and --reason, change it and
    record who did it as a tag of each experiment. Files are not moved; other stores and remote roots are not changed.
    """

    by, reason = by.strip(), reason.strip()
    if bool(by) != bool(reason):
        raise MlopsAssetsError("give both --by (who) and --reason (why), or neither to see what would be changed")
    with located(module, python_file, directory) as location, quietly():
        registry, models = location.registry, list(location.models)
        if missing_database(registry):
            moves = []
        elif by:
            moves = move_artifacts(registry, location.storage, models, by, reason)
        else:
            moves = misplaced_models(registry, models)
        declared = registry.artifact_folder
    if as_json:
        say_json({"declared": declared, "changed": bool(by and moves), "moves": list(map(_plain, moves))})
    else:
        _show(moves, bool(by))
    if moves and not by:
        raise typer.Exit(WRONG)


def _plain(move: Move) -> dict[str, object]:
    return {
        "model": move.model,
        "from": move.before,
        "to": move.after,
        "runs": len(move.runs),
        "versions": sorted(move.versions),
        "left_behind": move.left_behind,
    }


def _show(moves: list[Move], changed: bool) -> None:
    screen = console()
    if not moves:
        screen.print("Nothing to do: the store names the declared folder.")
        return
    rows = [(move.model, len(move.runs), len(move.versions), f"{move.before}\n{move.after}") for move in moves]
    screen.print(table(("model", "runs", "versions", "from, to"), rows))
    for move in moves:
        if move.left_behind:
            folders = counted(len(move.left_behind), "folder was", "folders were")
            example = f"not brought along, such as {move.left_behind[0]}: copy first"
            screen.print(literal(f"{move.model}: {folders} {example}"), soft_wrap=True)
    screen.print("Changed." if changed else "Nothing is changed yet: give --by and --reason.")
