"""`mlops-assets history MODEL`: show which version was champion when, and by whom or by what."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from mlops_assets.assets.promotion.registry_state import REGISTRY_INTACT
from mlops_assets.assets.shared.keys import asset_key
from mlops_assets.cli.champion_history import ChampionPeriod, champion_periods
from mlops_assets.cli.code_location import Directory, Location, ModelName, Module, PythonFile, located, missing_database
from mlops_assets.cli.dagster_events import Event, not_passed
from mlops_assets.cli.output import AsJson, console, literal, quietly, say_json, table
from mlops_assets.decisions.promotion.alias import alias_state
from mlops_assets.errors import RegistryError
from mlops_assets.records.promotions import PromotionLedger
from mlops_assets.sensors.registry_probe import impatient

_UNKNOWN = {
    "moved by hand": "who moved the alias of {model} to version {alias}, and when exactly: MLflow keeps no history of "
    "aliases. Batches go on being scored by the champion that was decided on",
    "lost": "who removed the alias of {model}, and when exactly: MLflow keeps no history of aliases",
}


def history(
    model: ModelName,
    module: Module = None,
    python_file: PythonFile = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Show which version was champion when, by whom or by what, with its metric, and what is not on record."""
    with located(module, python_file, directory) as location:
        ledger = location.records(model).promotions
        record, periods = ledger.champion(), champion_periods(location.instance, model, ledger.all())
        result = {
            "model": model,
            "champion": None if record is None else record.version,
            "champions": periods,
            "found": _changes(location, model),
            **_registry(location, model, ledger),
        }
    if as_json:
        say_json(result)
    else:
        _show(result, periods)


def _registry(location: Location, model: str, ledger: PromotionLedger) -> dict[str, Any]:
    """Return the version of the alias, the state as in the check `registry_intact`, and what is not known."""
    registry = impatient(location.registry)
    try:
        if missing := missing_database(registry):
            raise RegistryError(f"MLflow has no database at {missing}")
        with quietly():
            champion = registry.champion(model)
    except RegistryError as error:
        return {"alias": None, "registry": "unknown", "unknown": [f"what the registry says: {error}"]}
    state = alias_state(champion, ledger.champion(), ledger.under_way())
    alias = None if champion is None else champion.version
    unknown = [_UNKNOWN[state].format(model=model, alias=alias)] if state in _UNKNOWN else []
    return {"alias": alias, "registry": state, "unknown": unknown}


def _changes(location: Location, model: str) -> list[dict[str, Any]]:
    """Return when alias or artifact were seen to differ from the record, newest first; once for each change."""
    events = not_passed(location.instance, asset_key(model, "champion"), REGISTRY_INTACT)
    changes = []
    for (state, alias), evaluations in groupby(events, _change):
        *_, first = evaluations
        at = first.at.isoformat(timespec="seconds")
        changes.append({"at": at, "state": state, "alias": alias, "reason": first.metadata["description"]})
    return changes


def _change(event: Event) -> tuple[Any, Any]:
    return event.metadata.get("state"), event.metadata.get("alias")


def _show(result: Mapping[str, Any], periods: Sequence[ChampionPeriod]) -> None:
    screen = console()
    if not periods:
        screen.print(f"{result['model']} has had no champion yet.")
    else:
        rows = (
            (
                f"{period.version}\n(refit of {period.refit_of})" if period.refit_of else period.version,
                f"{period.since:%Y-%m-%d %H:%M}",
                "" if period.until is None else f"{period.until:%Y-%m-%d %H:%M}",
                "" if period.value is None else f"{period.metric} {period.value:.4g}",
                period.how,
                period.by,
                f"{period.reason}\n({period.launched_by})",
            )
            for period in periods
        )
        screen.print(table(("version", "since (UTC)", "until", "holdout", "how", "by", "why"), rows))
    alias = "names no version" if result["alias"] is None else f"names version {result['alias']}"
    screen.print(f"The alias champion {alias} ({result['registry']}).")
    for change in result["found"]:
        screen.print(f"[yellow]seen {change['at']}[/yellow]: {literal(change['reason'])}")
    for sentence in result["unknown"]:
        screen.print(f"[yellow]not known[/yellow]: {literal(sentence)}")
