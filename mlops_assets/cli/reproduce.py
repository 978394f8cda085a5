"""`mlops-assets reproduce`: fit a registered version again, and show what differs."""

from typing import TYPE_CHECKING, Annotated

import typer

from mlops_assets.cli.code_location import Directory, Module, PythonFile, located
from mlops_assets.cli.output import WRONG, AsJson, console, literal, quietly, say_json, table
from mlops_assets.errors import MlopsAssetsError
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.versions import OwnVersions
from mlops_assets.reproduction.reproduce import reproduce as fitted_again
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.text import shown

if TYPE_CHECKING:
    from mlops_assets.modelling.agreement import Reproduction

Asked = Annotated[
    str,
    typer.Argument(metavar="MODEL@VERSION", help="A model and the number of a version, `champion` or `latest`."),
]
AsDeclared = Annotated[
    bool,
    typer.Option("--as-declared", help="Take estimator, parameters and seed as they are declared now, too."),
]
CheckSource = Annotated[
    bool, typer.Option(help="Compare the rows that the source holds now with those of then (reads them all).")
]


def reproduce(
    asked: Asked,
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

    name, wanted = _parsed(asked)
    with located(module, python_file, directory) as location:
        records = location.records(name)
        version = _version(records, location.registry, wanted)
        with quietly():
            found = fitted_again(records, location.registry, version, as_declared, check_source)
    if as_json:
        say_json(found.to_dict())
    else:
        _show(found)
    if found.verdict == "differs":
        raise typer.Exit(WRONG)


def _parsed(asked: str) -> tuple[str, str]:
    name, at, wanted = asked.partition("@")
    number = wanted.isascii() and wanted.isdigit() and len(wanted) < 10 and int(wanted) > 0
    if not name or not at or not (number or wanted in ("champion", "latest")):
        raise MlopsAssetsError(
            f"{shown(asked)} names no version: expected MODEL@VERSION with a number, `champion` or `latest`, as in "
            "bike_demand@3"
        )
    return name, wanted


def _version(records: ModelRecords, registry: MlflowRegistry, wanted: str) -> "ModelVersion":
    name = records.name
    if wanted == "champion":
        found = records.champion
        if found is None:
            raise MlopsAssetsError(f"{name} has no champion: no promotion is on record; name a version by its number")
        return found
    versions = registry.versions(name)
    if not versions:
        raise MlopsAssetsError(f"{name} has no version in the registry: train it first")
    own = OwnVersions(records, registry)
    if wanted == "latest":
        return own.of(versions[0])
    for version in versions:
        if version.version == int(wanted):
            return own.of(version)
    raise MlopsAssetsError(
        f"{name} has no version {wanted} (it has {', '.join(str(each.version) for each in versions[:20])})"
    )


def _show(found: "Reproduction") -> None:
    out = console()
    colour = {"identical": "green", "within tolerance": "green", "differs": "red"}[found.verdict]
    out.print(f"{found.model} version {found.version}: [bold {colour}]{literal(found.reason)}[/]", soft_wrap=True)
    compared = [
        *found.agreements.items(),
        *((f"{rows}, features computed anew", each) for rows, each in found.anew.items()),
    ]
    if compared:
        columns = ("refit on", "rows", "greatest difference", "of the spread", "verdict")
        rows = [
            (role, f"{each.rows:,}", f"{each.max_difference:.3g}", f"{each.relative:.1e}", each.verdict)
            for role, each in compared
        ]
        out.print(table(columns, rows))
    if found.differences:
        otherwise = ((each.kind, each.what, each.then, each.now, each.note) for each in found.differences)
        out.print(table(("kind", "not as it was", "then", "now", ""), otherwise))
    elif found.verdict != "differs":
        out.print("Nothing that is recorded is otherwise now.")
    if found.fitted_with:
        said = ", ".join(f"{name} {value}" for name, value in found.fitted_with.items())
        out.print(f"Fitted with {literal(said)}", soft_wrap=True)
    for note in found.notes:
        out.print(f"Note: {literal(note)}", soft_wrap=True)
