"""`mlops-assets reproduce`: fit a registered version again, and show what differs."""

import re
from operator import attrgetter
from typing import Annotated

import typer

from mlops_assets.cli.code_location import Directory, Module, PythonFile, located
from mlops_assets.cli.output import WRONG, AsJson, console, literal, quietly, say_json, table
from mlops_assets.errors import MlopsAssetsError
from mlops_assets.modelling.agreement import Reproduction
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.versions import OwnVersions
from mlops_assets.reproduction.reproduce import reproduce as fitted_again
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.text import shown

ModelAndVersion = Annotated[
    str, typer.Argument(metavar="MODEL@VERSION", help="A model and the number of a version, `champion` or `latest`.")
]
AsDeclared = Annotated[
    bool, typer.Option("--as-declared", help="Take estimator, parameters and seed as they are declared now, too.")
]
CheckSource = Annotated[
    bool, typer.Option(help="Compare the rows that the source holds now with those of then (reads them all).")
]
_COLOURS = {"identical": "green", "within tolerance": "green", "differs": "red"}


def reproduce(
    version: ModelAndVersion,
    as_json: AsJson = False,
    as_declared: AsDeclared = False,
    check_source: CheckSource = True,
    module: Module = None,
    python_file: PythonFile = None,
    directory: Directory = None,
) -> None:
    """Fit a version again and compare predictions: identical, within tolerance, or differs, with the cause.

    Rows, parameters and seed are the recorded ones; code and packages are the current ones. Nothing is searched or
    written. Exit code 1 if predictions differ.
    """

    match = re.fullmatch(r"([^@]+)@(0*[1-9][0-9]{0,8}|champion|latest)", version)
    if match is None:
        raise MlopsAssetsError(
            f"{shown(version)} does not name a version: expected MODEL@VERSION with a number, `champion` or "
            "`latest`, as in bike_demand@3"
        )
    with located(module, python_file, directory) as location:
        records = location.records(match[1])
        registered = _version(records, location.registry, match[2])
        with quietly():
            reproduction = fitted_again(records, location.registry, registered, as_declared, check_source)
    if as_json:
        say_json(reproduction.to_dict())
    else:
        _show(reproduction)
    if reproduction.verdict == "differs":
        raise typer.Exit(WRONG)


def _version(records: ModelRecords, registry: MlflowRegistry, version: str) -> ModelVersion:
    """Return a registered version by its number, `champion` or `latest`; raise `MlopsAssetsError` if there is none."""
    name = records.name
    if version == "champion":
        champion = records.champion
        if champion is None:
            raise MlopsAssetsError(f"{name} has no champion: no promotion is on record; name a version by its number")
        return champion
    versions = {registered.version: registered for registered in registry.versions(name)}
    if not versions:
        raise MlopsAssetsError(f"{name} has no version in the registry: train it first")
    number = max(versions) if version == "latest" else int(version)
    if number not in versions:
        raise MlopsAssetsError(f"{name} has no version {number} (it has {', '.join(map(str, list(versions)[:20]))})")
    return OwnVersions(records, registry).of(versions[number])


def _show(reproduction: Reproduction) -> None:
    screen = console()
    verdict = f"[bold {_COLOURS[reproduction.verdict]}]{literal(reproduction.reason)}[/]"
    screen.print(f"{reproduction.model} version {reproduction.version}: {verdict}", soft_wrap=True)
    anew = {f"{role}, features computed anew": agreement for role, agreement in reproduction.anew.items()}
    agreements = [
        (role, f"{agreement.rows:,}", f"{agreement.max_difference:.3g}", f"{agreement.relative:.1e}", agreement.verdict)
        for role, agreement in {**reproduction.agreements, **anew}.items()
    ]
    if agreements:
        screen.print(table(("refit on", "rows", "greatest difference", "of the spread", "verdict"), agreements))
    if reproduction.differences:
        differences = map(attrgetter("kind", "what", "then", "now", "note"), reproduction.differences)
        screen.print(table(("kind", "difference", "then", "now", ""), differences))
    elif reproduction.verdict != "differs":
        screen.print("Everything on record is the same now.")
    if reproduction.fitted_with:
        values = ", ".join(f"{name} {value}" for name, value in reproduction.fitted_with.items())
        screen.print(f"Fitted with {literal(values)}", soft_wrap=True)
    for note in reproduction.notes:
        screen.print(f"Note: {literal(note)}", soft_wrap=True)
