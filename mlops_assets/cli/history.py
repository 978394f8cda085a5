"""`mlops-assets history MODEL`: show which version was champion when, and by whom or by what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlops_assets.assets.promotion.registry_state import REGISTRY_INTACT
from mlops_assets.assets.shared.keys import asset_key
from mlops_assets.cli.champion_history import ChampionPeriod, champion_periods
from mlops_assets.cli.code_location import Directory, Location, ModelName, Module, PythonFile, located, missing_database
from mlops_assets.cli.dagster_events import not_passed
from mlops_assets.cli.output import AsJson, console, literal, quietly, say_json, table
from mlops_assets.decisions.promotion.alias import alias_state
from mlops_assets.errors import RegistryError
from mlops_assets.records.promotions import PromotionLedger
from mlops_assets.sensors.registry_probe import impatient


@dataclass(frozen=True)
class Registry:
    """The current state of the registry: `state` as in the check `registry_intact`, or "unknown" with a reason."""

    state: str
    alias: int | None = None
    away: str = ""


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
        record, registry = ledger.champion(), _registry(location, model, ledger)
        periods = champion_periods(location.instance, model, ledger.all())
        shown = {
            "model": model,
            "champion": None if record is None else record.version,
            "alias": registry.alias,
            "registry": registry.state,
            "champions": [period.to_json() for period in periods],
            "found": _changes(location, model),
            "unknown": _unknown(model, registry),
        }
    if as_json:
        say_json(shown)
    else:
        _show(shown, periods)


def _registry(location: Location, model: str, ledger: PromotionLedger) -> Registry:
    registry = impatient(location.registry)
    if missing := missing_database(registry):
        return Registry("unknown", away=f"MLflow has no database at {missing}")
    try:
        with quietly():
            alias = registry.champion(model)
    except RegistryError as error:
        return Registry("unknown", away=str(error))
    state = alias_state(alias, ledger.champion(), ledger.under_way())
    return Registry(state, None if alias is None else alias.version)


def _changes(location: Location, model: str) -> list[dict[str, Any]]:
    """Return when alias or artifact were seen to differ from the record, newest first; once for each change."""
    changes: list[dict[str, Any]] = []
    for event in not_passed(location.instance, asset_key(model, "champion"), REGISTRY_INTACT):
        state, alias = event.metadata.get("state"), event.metadata.get("alias")
        if changes and (changes[-1]["state"], changes[-1]["alias"]) == (state, alias):
            changes.pop()  # an earlier evaluation already shows it
        at = event.at.isoformat(timespec="seconds")
        changes.append({"at": at, "state": state, "alias": alias, "reason": event.metadata["description"]})
    return changes


def _unknown(model: str, registry: Registry) -> list[str]:
    """Return what is not known, and why."""
    unknown = []
    if registry.away:
        unknown.append(f"what the registry says: {registry.away}")
    if registry.state == "moved by hand":
        unknown.append(
            f"who moved the alias of {model} to version {registry.alias}, and when exactly: MLflow keeps no history of "
            "aliases. Batches go on being scored by the champion that was decided on"
        )
    if registry.state == "lost":
        unknown.append(f"who removed the alias of {model}, and when exactly: MLflow keeps no history of aliases")
    return unknown


def _show(shown: Mapping[str, Any], periods: Sequence[ChampionPeriod]) -> None:
    screen = console()
    if not periods:
        screen.print(f"{shown['model']} has had no champion yet.")
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
    alias = "names no version" if shown["alias"] is None else f"names version {shown['alias']}"
    screen.print(f"The alias champion {alias} ({shown['registry']}).")
    for change in shown["found"]:
        screen.print(f"[yellow]found {change['at']}[/yellow]: {literal(change['reason'])}")
    for sentence in shown["unknown"]:
        screen.print(f"[yellow]not known[/yellow]: {literal(sentence)}")
