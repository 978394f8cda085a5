"""`registry_watch`: one sensor for all models that compares the registry with the record of each champion."""

import hashlib
import os
import time
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
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.versions import OwnVersions
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
from mlops_assets.sensors.each_model import each_model
from mlops_assets.sensors.evaluated import newest_passed
from mlops_assets.sensors.registry_probe import impatient
from mlops_assets.sensors.remote_artifact import finding_soon

SECONDS_A_TICK = 5.0
COPIED_AGAIN_AFTER = 3_600.0
_LOOKED_AT: dict[str, tuple[str, Finding]] = {}


def registry_watch_sensor(
    name: str = "registry_watch",
    minimum_interval_seconds: int = 30,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.RUNNING,
) -> dg.SensorDefinition:
    """Return a sensor that records the check `registry_intact` on a champion whose state in the registry changes.

    Within a tick, or a few with many models, it notices an alias moved by hand or lost, a deleted version and a
    changed artifact. It changes nothing in the registry.

    Local artifacts are read again when their sizes or times change. Remote artifacts are copied for it: one model a
    tick, each at most once an hour. A store that does not answer delays no tick. Steps verify what they load at each
    use anyway, whether it is MLflow's file or this machine's copy of it.
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
        registry, artifacts = impatient(mlflow_registry), Artifacts()
        events: list[dg.AssetCheckEvaluation] = []

        def watch(records: ModelRecords, before: dict[str, Any] | None) -> dict[str, Any] | None:
            if not records.promotions.last_number() and not OwnVersions(records, registry).any():
                return None  # MLflow may have no database yet: whoever asks first makes one, and two at once fail
            memory = dict(before or {})
            state = registry_state(records, registry, partial(artifacts.look, memory))
            recorded = memory.get("state") == state.digest and not _other_on_record(context.instance, state)
            if state.news and not recorded:
                context.log.info(f"{records.name}: {state.state}: {state.reason}")
                events.append(_evaluation(state))
                memory["state"] = state.digest
            return memory

        cursor = each_model(
            context, mlops_storage, context.cursor, watch, seconds=SECONDS_A_TICK, ends_at=(RegistryError,)
        )
        return dg.SensorResult(cursor=cursor, asset_events=events)

    return sensor


class Artifacts:
    """Looks at the artifacts of champions as seldom as possible, and copies at most one remote artifact in a tick."""

    def __init__(self) -> None:
        self._spent = False

    def look(self, memory: dict[str, Any], registry: MlflowRegistry, version: ModelVersion) -> Finding:
        """Return the finding on a version's artifact, from now or from the last look; `memory` keeps a copy's."""
        folder = registry.local_model(version)
        return self._copied(memory, registry, version) if folder is None else _in_place(registry, version, folder)

    def _copied(self, memory: dict[str, Any], registry: MlflowRegistry, version: ModelVersion) -> Finding:
        last = memory.get("copied", {})
        if last.get("digest") != version.digest:
            last = {}
        if not self._spent and time.time() - last.get("at", 0.0) > COPIED_AGAIN_AFTER:
            self._spent = True
            finding = finding_soon(registry, version)
            if finding is not None:
                state, reason = finding
                last = memory["copied"] = {
                    "digest": version.digest,
                    "at": time.time(),
                    "state": state,
                    "reason": reason,
                }
        if not last:
            return "sound", "its artifact is on a server and was not looked at yet"
        return last["state"], last["reason"]


def _in_place(registry: MlflowRegistry, version: ModelVersion, folder: Path) -> Finding:
    seen = f"{version.digest} {_written(folder)}"
    last = _LOOKED_AT.get(str(folder))
    if last is None or last[0] != seen:
        last = _LOOKED_AT[str(folder)] = (seen, artifact_finding(registry, version))
    return last[1]


def _written(folder: Path) -> str:
    """Return a digest over name, size and times of all files; a copy cannot set back the time of the last change."""
    files = [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]
    stats = [(str(file), file.lstat()) for file in sorted(files)]
    written = [(name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for name, stat in stats]
    return hashlib.sha256(repr(written).encode()).hexdigest()


def _other_on_record(instance: dg.DagsterInstance, state: RegistryState) -> bool:
    """Return whether the newest evaluation, perhaps by a run, differs from the current state."""
    key = dg.AssetCheckKey(asset_key(state.model, "champion"), REGISTRY_INTACT)
    passed = newest_passed(instance, key)
    return passed is not None and passed != state.outcome().passed


def _evaluation(state: RegistryState) -> dg.AssetCheckEvaluation:
    """Return the check's result as an event without a run."""
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
