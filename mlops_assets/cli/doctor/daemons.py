"""What has to run: the daemon, the pack's sensors and schedules; and stuck slots of pools."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from mlops_assets.cli.doctor.findings import Finding, advice, fault, fine
from mlops_assets.dagster_private import InstigatorType
from mlops_assets.declaration import Declaration
from mlops_assets.text import listed

_NEEDED = {
    "new_data": "New batches are not taken in.",
    "retraining": "Nothing is retrained on drift, decay, volume or age.",
    "registry_watch": "An alias moved by hand or a changed artifact is not noticed.",
}
_DAEMONS = ("SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR", "MONITORING", "EVENT_LOG_CONSUMER")
_ADD = "add it to the sensors of the code location, or use `type: mlops_assets.Deployment` in a defs.yaml"


def daemons(instance: dg.DagsterInstance) -> Iterator[Finding]:
    """Check that the daemon is alive, by its heartbeats."""
    statuses = {name: each for name, each in instance.get_daemon_statuses().items() if name in _DAEMONS}
    silent = {name: each for name, each in statuses.items() if not each.healthy}
    if not silent:
        yield fine("daemon", f"{len(statuses)} parts of it are alive")
        return
    beats = [each.last_heartbeat.timestamp for each in silent.values() if each.last_heartbeat is not None]
    seen = f"last seen {datetime.fromtimestamp(max(beats), UTC):%Y-%m-%d %H:%M} UTC" if beats else "never seen"
    why = "Without it no sensor or schedule ticks, no queued run starts, no dead run is ended."
    yield fault(
        "daemon", f"{listed(sorted(silent))} not alive, {seen}", why, "start `dagster-daemon run`, or `make dev`"
    )


def sensors(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, location_name: str) -> Iterator[Finding]:
    """Check that the pack's sensors exist, run, and ticked without an error."""
    ours = {}
    for each in repository.sensor_defs:
        module = getattr(getattr(each, "_raw_fn", None), "__module__", "")
        if module.startswith("mlops_assets.sensors."):
            ours[module.split(".")[2]] = each
    for what, harm in _NEEDED.items():
        if what not in ours:
            yield fault(f"sensor {what}", "not in the code location", harm, _ADD)
    if "alerts" not in ours:
        yield advice("sensor alerts", "not in the code location", "No alert is sent when something goes wrong.", _ADD)
    states = _states(instance, "SENSOR", location_name)
    for what, each in sorted(ours.items()):
        harm = _NEEDED.get(what, "No alert is sent when something goes wrong.")
        yield _instigator(instance, "sensor", each.name, each.default_status.value, states.get(each.name), harm)


def schedules(
    instance: dg.DagsterInstance,
    repository: dg.RepositoryDefinition,
    location_name: str,
    models: Iterable[Declaration],
) -> Iterator[Finding]:
    """Check that each declared cron has a schedule that runs."""
    states = _states(instance, "SCHEDULE", location_name)
    crons: dict[str, list[str]] = {}
    for model in models:
        if model.retraining.cron:
            crons.setdefault(model.retraining.cron, []).append(model.name)
    for cron, names in crons.items():
        found = [each for each in repository.schedule_defs if each.cron_schedule == cron]
        found = [each for each in found if each.name.startswith("retraining_")] or found
        harm = f"Not retrained by the clock, as declared: {listed(names)}."
        if not found:
            mend = "add retraining_schedules() to the schedules of the code location, after the models are built"
            yield fault(f"schedule {cron}", "not in the code location", harm, mend)
        for each in found:
            yield _instigator(instance, "schedule", each.name, each.default_status.value, states.get(each.name), harm)


def slots(instance: dg.DagsterInstance) -> Iterator[Finding]:
    """Yield slots of pools that ended runs hold: a killed process cannot give its slot back."""
    store = instance.event_log_storage
    stuck: dict[str, list[str]] = {}
    for info in store.get_concurrency_infos(sorted(store.get_concurrency_keys())).values():
        for run_id in sorted(info.active_run_ids):
            run = instance.get_run_by_id(run_id)
            if run is None or run.is_finished:
                stuck.setdefault(info.concurrency_key, []).append(run_id[:8])
    for pool, runs in stuck.items():
        why = "Steps of the pool wait for it; monitoring frees it a while after the run's end, if it is set to."
        mend = f"Deployment > Concurrency > {pool} in the UI: free the slots"
        yield fault("pool slots", f"{pool} is held by {listed(runs)}, which ended", why, mend)
    if not stuck:
        yield fine("pool slots", "none is held by a run that has ended")


def _states(instance: dg.DagsterInstance, kind: str, location_name: str) -> dict[str, Any]:
    """Return states by name; states of this code location go before states under another name of it."""
    found = instance.all_instigator_state(instigator_type=InstigatorType[kind])
    ranked = sorted(found, key=lambda each: each.repository_selector.location_name == location_name)
    return {each.instigator_name: each for each in ranked}


def _instigator(instance: dg.DagsterInstance, kind: str, name: str, default: str, state: Any, harm: str) -> Finding:
    called = f"{kind} {name}"
    start = f"Automation > {name} in the UI: switch it on"
    running = default == "RUNNING" if state is None or state.status.value == "DECLARED_IN_CODE" else state.is_running
    if not running:
        return fault(called, "stopped", harm, start)
    ticks = [] if state is None else instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
    if ticks and ticks[0].status.value == "FAILURE":
        error = " ".join((ticks[0].error.message if ticks[0].error else "unknown").split())[:300]
        return fault(
            called, f"its last tick failed: {error}", harm, f"Automation > {name} in the UI shows the whole error"
        )
    last = f"last tick {datetime.fromtimestamp(ticks[0].timestamp, UTC):%Y-%m-%d %H:%M} UTC" if ticks else "no tick yet"
    return fine(called, f"switched on, {last}")
