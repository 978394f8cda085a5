"""What has to run: the daemon, the pack's sensors and schedules; and stuck slots of pools."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from mlops_assets.cli.doctor.findings import Finding, advice, fault, fine
from mlops_assets.dagster_private import InstigatorType
from mlops_assets.declaration import Declaration
from mlops_assets.text import listed

_HARM = {
    "new_data": "New batches are not taken in.",
    "retraining": "Nothing is retrained on drift, decay, volume or age.",
    "registry_watch": "An alias moved by hand or a changed artifact is not noticed.",
    "alerts": "No alert is sent when something goes wrong.",
}
_DAEMONS = ("SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR", "MONITORING", "EVENT_LOG_CONSUMER")
_Automation = dg.SensorDefinition | dg.ScheduleDefinition
_ADD = "add it to the sensors of the code location, or use `type: mlops_assets.Deployment` in a defs.yaml"


def daemons(instance: dg.DagsterInstance) -> Iterator[Finding]:
    """Check that the daemon is alive, by its heartbeats."""
    statuses = {name: status for name, status in instance.get_daemon_statuses().items() if name in _DAEMONS}
    silent = {name: status.last_heartbeat for name, status in statuses.items() if not status.healthy}
    beats = [heartbeat.timestamp for heartbeat in silent.values() if heartbeat is not None]
    last = f"last seen {_moment(max(beats))}" if beats else "never seen"
    why = "Without it no sensor or schedule ticks, no queued run starts and no dead run is ended."
    mend = "start `dagster-daemon run`, or `make dev`"
    dead = fault("daemon", f"{listed(sorted(silent))} not alive, {last}", why, mend)
    yield dead.unless(not silent, f"{len(statuses)} parts of it are alive")


def sensors(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, location_name: str) -> Iterator[Finding]:
    """Check that the pack's sensors exist, run, and ticked without an error."""
    ours = {}
    for sensor in repository.sensor_defs:
        module = getattr(getattr(sensor, "_raw_fn", None), "__module__", "")
        if module.startswith("mlops_assets.sensors."):
            ours[module.split(".")[2]] = sensor
    states = _states(instance, "SENSOR", location_name)
    for name, harm in _HARM.items():
        if name in ours:
            yield _automation(instance, ours[name], states, harm)
        else:
            missing = advice if name == "alerts" else fault
            yield missing(f"sensor {name}", "not in the code location", harm, _ADD)


def schedules(
    instance: dg.DagsterInstance,
    repository: dg.RepositoryDefinition,
    location_name: str,
    models: Collection[Declaration],
) -> Iterator[Finding]:
    """Check that each declared cron has a schedule that runs."""
    states = _states(instance, "SCHEDULE", location_name)
    for cron in dict.fromkeys(model.retraining.cron for model in models if model.retraining.cron):
        names = [model.name for model in models if model.retraining.cron == cron]
        harm = f"Not retrained by the clock, as declared: {listed(names)}."
        at_cron = [schedule for schedule in repository.schedule_defs if schedule.cron_schedule == cron]
        for schedule in [schedule for schedule in at_cron if schedule.name.startswith("retraining_")] or at_cron:
            yield _automation(instance, schedule, states, harm)
        if not at_cron:
            mend = "add retraining_schedules() to the schedules of the code location, after the models are built"
            yield fault(f"schedule {cron}", "not in the code location", harm, mend)


def slots(instance: dg.DagsterInstance) -> list[Finding]:
    """Return the slots of pools that ended runs hold: a killed process cannot give its slot back."""
    store = instance.event_log_storage
    stuck: dict[str, list[str]] = defaultdict(list)
    for info in store.get_concurrency_infos(sorted(store.get_concurrency_keys())).values():
        for run_id in sorted(info.active_run_ids):
            run = instance.get_run_by_id(run_id)
            if run is None or run.is_finished:
                stuck[info.concurrency_key].append(run_id[:8])
    why = "Steps of the pool wait for it; monitoring frees the slot some time after the run's end, if that is set."
    mend = "Deployment > Concurrency > {} in the UI: free the slots"
    return [
        fault("pool slots", f"{pool} is held by {listed(runs)}, which ended", why, mend.format(pool))
        for pool, runs in stuck.items()
    ] or [fine("pool slots", "no ended run holds a slot")]


def _states(instance: dg.DagsterInstance, kind: str, location_name: str) -> dict[str, Any]:
    """Return states by name; states of this code location go before states under another name of it."""
    states = instance.all_instigator_state(instigator_type=InstigatorType[kind])
    states = sorted(states, key=lambda state: state.repository_selector.location_name == location_name)
    return {state.instigator_name: state for state in states}


def _automation(instance: dg.DagsterInstance, definition: _Automation, states: Mapping[str, Any], harm: str) -> Finding:
    """Check that a sensor or a schedule is switched on, and that its last tick did not fail."""
    name = f"{'sensor' if isinstance(definition, dg.SensorDefinition) else 'schedule'} {definition.name}"
    state, in_ui = states.get(definition.name), f"Automation > {definition.name} in the UI"
    running = definition.default_status.value == "RUNNING"
    if state is not None and state.status.value != "DECLARED_IN_CODE":
        running = state.is_running
    if not running:
        return fault(name, "stopped", harm, f"{in_ui}: switch it on")
    ticks = [] if state is None else instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
    if ticks and ticks[0].status.value == "FAILURE":
        error = " ".join((ticks[0].error.message if ticks[0].error else "unknown").split())[:300]
        return fault(name, f"its last tick failed: {error}", harm, f"{in_ui} shows the whole error")
    return fine(name, f"switched on, {f'last tick {_moment(ticks[0].timestamp)}' if ticks else 'no tick yet'}")


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
