"""`mlops-assets history MODEL`: show which version was champion when, and by whom or by what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlops_assets.assets.promotion.registry_state import REGISTRY_INTACT
from mlops_assets.assets.shared.keys import asset_key
from mlops_assets.cli.location import Directory, Location, ModelName, Module, PythonFile, located, missing_database
from mlops_assets.cli.output import AsJson, console, literal, quietly, say_json, table
from mlops_assets.cli.records import not_passed
from mlops_assets.cli.reigns import Reign, reigns_of
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
        reigns = reigns_of(location.instance, model, ledger.all())
        told = {
            "model": model,
            "champion": None if record is None else record.version,
            "alias": registry.alias,
            "registry": registry.state,
            "reigns": [each.to_json() for each in reigns],
            "found": _found(location, model),
            "unknown": _unknown(model, registry),
        }
    if as_json:
        say_json(told)
    else:
        _show(told, reigns)


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


def _found(location: Location, model: str) -> list[dict[str, Any]]:
    """Return when alias or artifact were seen to differ from the record, newest first; once for each change."""
    found: list[dict[str, Any]] = []
    for each in not_passed(location.instance, asset_key(model, "champion"), REGISTRY_INTACT):
        state, alias = each.metadata.get("state"), each.metadata.get("alias")
        if found and (found[-1]["state"], found[-1]["alias"]) == (state, alias):
            found.pop()  # an earlier evaluation already shows it
        at = each.at.isoformat(timespec="seconds")
        found.append({"at": at, "state": state, "alias": alias, "reason": each.metadata["description"]})
    return found


def _unknown(model: str, registry: Registry) -> list[str]:
    """Return what is not known, and why."""
    said = []
    if registry.away:
        said.append(f"what the registry says: {registry.away}")
    if registry.state == "moved by hand":
        said.append(
            f"who moved the alias of {model} to version {registry.alias}, and when exactly: MLflow keeps no history of "
            "aliases. Batches go on being scored by the champion that was decided on"
        )
    if registry.state == "lost":
        said.append(f"who removed the alias of {model}, and when exactly: MLflow keeps no history of aliases")
    return said


def _show(told: Mapping[str, Any], reigns: Sequence[Reign]) -> None:
    screen = console()
    if not reigns:
        screen.print(f"{told['model']} has had no champion yet.")
    else:
        rows = (
            (
                f"{each.version}\n(refit of {each.refit_of})" if each.refit_of else each.version,
                f"{each.since:%Y-%m-%d %H:%M}",
                "" if each.until is None else f"{each.until:%Y-%m-%d %H:%M}",
                "" if each.value is None else f"{each.metric} {each.value:.4g}",
                each.how,
                each.by,
                f"{each.reason}\n({each.launched_by})",
            )
            for each in reigns
        )
        screen.print(table(("version", "since (UTC)", "until", "holdout", "how", "by", "why"), rows))
    alias = "names no version" if told["alias"] is None else f"names version {told['alias']}"
    screen.print(f"The alias champion {alias} ({told['registry']}).")
    for each in told["found"]:
        screen.print(f"[yellow]found {each['at']}[/yellow]: {literal(each['reason'])}")
    for each in told["unknown"]:
        screen.print(f"[yellow]not known[/yellow]: {literal(each)}")
