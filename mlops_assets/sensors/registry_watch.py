"""`registry_watch`: one sensor for all models that compares the registry with the record of each champion."""

import hashlib
import json
import os
import time
from dataclasses import dataclass, field
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
    """Return a sensor that records the check `registry_intact` on a champion whose state in the registry changes.

    Within a tick, or a few with many models, it notices an alias moved by hand or lost, a deleted version and a
    changed artifact. It changes nothing in the registry.

    Local artifacts are read again when their sizes or times change. Remote artifacts are copied for it: one model a
    tick, each at most once an hour. The steps verify artifacts at each use anyway.
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
        events: list[dg.AssetCheckEvaluation] = []

        def watch(records: ModelRecords) -> None:
            if not records.promotions.last_number() and not OwnVersions(records, registry).any():
                return  # MLflow may have no database yet: whoever asks first makes one, and two at once fail
            state = registry_state(registry, records, artifacts.look)
            told = states.get(records.name) == state.digest and not _other_on_record(context.instance, state)
            if state.news and not told:
                context.log.info(f"{records.name}: {state.state}: {state.reason}")
                events.append(_evaluation(state))
                states[records.name] = state.digest

        begin = cursor.get("next", "")
        following = each_model(context, mlops_storage, begin, watch, seconds=SECONDS_A_TICK, ends_at=(RegistryError,))
        names = {model.name for model in models_of(context)}
        kept = {
            "states": {name: state for name, state in states.items() if name in names},
            "copied": {name: finding for name, finding in artifacts.copied.items() if name in names},
            "next": following,
        }
        return dg.SensorResult(cursor=json.dumps(kept), asset_events=events)

    return sensor


@dataclass
class Artifacts:
    """Looks at the artifacts of champions as seldom as possible; `copied` keeps the findings on remote artifacts."""

    copied: dict[str, dict[str, Any]]
    spent: bool = field(default=False)

    def look(self, registry: MlflowRegistry, version: ModelVersion) -> Finding:
        """Return the finding on a version's artifact, from now or from the last look."""
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
    """Return a digest over name, size and times of all files; a copy cannot set back the time of the last change."""
    told = []
    for parent, _, files in os.walk(folder):
        for name in files:
            about = Path(parent, name).lstat()
            told.append((parent, name, about.st_size, about.st_mtime_ns, about.st_ctime_ns))
    return hashlib.sha256(repr(sorted(told)).encode()).hexdigest()


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
