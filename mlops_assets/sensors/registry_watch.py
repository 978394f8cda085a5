"""`registry_watch`: one sensor for all models; holds the registry against the record of each champion."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg

from mlops_assets.assets.promotion.registry_state import (
    REGISTRY_INTACT,
    Finding,
    RegistryState,
    artifact_finding,
    registry_state,
)
from mlops_assets.assets.shared.keys import asset_key
from mlops_assets.assets.shared.metadata import check_result
from mlops_assets.errors import RegistryError
from mlops_assets.records.promotions import PromotionLedger
from mlops_assets.records.typed import store_of
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
from mlops_assets.sensors.evaluated import newest_passed
from mlops_assets.sensors.models import models_of
from mlops_assets.sensors.registry_probe import impatient

SECONDS_A_TICK = 5.0
COPIED_AGAIN_AFTER = 3_600.0
_LOOKED_AT: dict[str, tuple[str, Finding]] = {}


def registry_watch_sensor(
    name: str = "registry_watch",
    minimum_interval_seconds: int = 30,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.RUNNING,
) -> dg.SensorDefinition:
    """A sensor that records a check `registry_intact` on each champion whenever its state in the registry changes.

    An alias moved by hand or lost, a deleted version and a changed artifact are found within a tick, with so many
    models that a tick does not get to all of them within a few. It changes nothing in the registry.

    Artifacts that are local files are read again when their sizes or times changed. Others have to be copied for it:
    one model a tick, each at most once an hour; their steps verify them at each use anyway.
    """

    @dg.sensor(
        name=name,
        asset_selection=dg.AssetSelection.all(),
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=default_status,
        description="Holds alias, version and artifact of each champion against the decision on record.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, mlops_storage: Storage, mlflow_registry: MlflowRegistry
    ) -> dg.SensorResult:
        cursor: dict[str, Any] = json.loads(context.cursor or "{}")
        states: dict[str, str] = cursor.get("states", {})
        registry = impatient(mlflow_registry)
        artifacts = Artifacts(cursor.get("copied", {}))
        names = [model.name for model in models_of(context)]
        events: list[dg.AssetCheckEvaluation] = []
        last = cursor.get("last", "")
        look = partial(_state, storage=mlops_storage, registry=registry, artifacts=artifacts)
        with store_of(mlops_storage).at_once():
            for model, state in _states(context, names, last, look):
                last = model
                if (
                    state is not None
                    and state.news
                    and (states.get(model) != state.digest or _other_on_record(context.instance, state))
                ):
                    context.log.info(f"{model}: {state.state}: {state.reason}")
                    events.append(_evaluation(state))
                    states[model] = state.digest
        told = {
            "states": {model: states[model] for model in names if model in states},
            "copied": {model: artifacts.copied[model] for model in names if model in artifacts.copied},
            "last": last,
        }
        return dg.SensorResult(cursor=json.dumps(told), asset_events=events)

    return sensor


def _states(
    context: dg.SensorEvaluationContext,
    names: Sequence[str],
    last: str,
    look: Callable[[str], RegistryState | None],
) -> Iterator[tuple[str, RegistryState | None]]:
    """The models that come after `last`, round and round, with their states; as many as there is time for."""
    begin = time.monotonic()
    for model in [*(each for each in names if each > last), *(each for each in names if each <= last)]:
        if time.monotonic() - begin > SECONDS_A_TICK:
            return
        state = None
        try:
            state = look(model)
        except RegistryError as error:
            context.log.warning(f"MLflow does not answer: {error}")
            yield model, None
            return
        except Exception as error:  # one model's broken record must not keep all others from being watched
            context.log.error(f"{model}: not watched: {type(error).__name__}: {error}")
        yield model, state


@dataclass
class Artifacts:
    """Looks at the artifact of a champion as seldom as it can; `copied` remembers what was found of remote ones."""

    copied: dict[str, dict[str, Any]]
    spent: bool = field(default=False)

    def look(self, registry: MlflowRegistry, version: ModelVersion) -> Finding:
        """What was found of a version's artifact, now or when it was last looked at."""
        folder = registry.local_model(version)
        return self._copied(registry, version) if folder is None else _in_place(registry, version, folder)

    def _copied(self, registry: MlflowRegistry, version: ModelVersion) -> Finding:
        known = self.copied.get(version.model)
        if known is not None and known["digest"] != version.digest:
            known = None
        due = known is None or time.time() - known["at"] > COPIED_AGAIN_AFTER
        if due and not self.spent:
            self.spent = True
            state, reason = artifact_finding(registry, version)
            known = {"digest": version.digest, "at": time.time(), "state": state, "reason": reason}
            self.copied[version.model] = known
        if known is None:
            return "sound", "its artifact is not at hand and was not copied yet to be looked at"
        return known["state"], known["reason"]


def _in_place(registry: MlflowRegistry, version: ModelVersion, folder: Path) -> Finding:
    seen = f"{version.digest} {_written(folder)}"
    known = _LOOKED_AT.get(str(folder))
    if known is None or known[0] != seen:
        known = _LOOKED_AT[str(folder)] = (seen, artifact_finding(registry, version))
    return known[1]


def _written(folder: Path) -> str:
    """A digest over name, size and times of all files; the time of the last change cannot be set back by a copy."""
    told = []
    for parent, _, files in os.walk(folder):
        for name in files:
            about = Path(parent, name).lstat()
            told.append((parent, name, about.st_size, about.st_mtime_ns, about.st_ctime_ns))
    return hashlib.sha256(repr(sorted(told)).encode()).hexdigest()


def _state(model: str, storage: Storage, registry: MlflowRegistry, artifacts: Artifacts) -> RegistryState:
    return registry_state(registry, PromotionLedger(storage, model), model, artifacts.look)


def _other_on_record(instance: dg.DagsterInstance, state: RegistryState) -> bool:
    """Whether the newest evaluation, which may be that of a run, says otherwise than what stands."""
    key = dg.AssetCheckKey(asset_key(state.model, "champion"), REGISTRY_INTACT)
    passed = newest_passed(instance, key)
    return passed is not None and passed != state.outcome().passed


def _evaluation(state: RegistryState) -> dg.AssetCheckEvaluation:
    """The check as an event without a run."""
    key = asset_key(state.model, "champion")
    result = check_result(state.outcome(), key)
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=str(result.check_name),
        passed=result.passed,
        metadata=result.metadata,
        severity=result.severity,
        description=result.description,
        blocking=False,
    )
