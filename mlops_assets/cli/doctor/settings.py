"""dagster.yaml: pools, slots, monitoring, retries, telemetry, stores."""

from collections.abc import Iterable, Iterator

import dagster as dg

from mlops_assets.cli.doctor.findings import Finding, advice, fault, fine
from mlops_assets.dagster_private import QueuedRunCoordinator
from mlops_assets.text import listed

_POOLS = "concurrency:\n  pools:\n    granularity: op\n    default_limit: 1"
_MONITORING = (
    "run_monitoring:\n  enabled: true\n  max_runtime_seconds: 14400 # longer than your longest run\n"
    "  free_slots_after_run_end_seconds: 60"
)
_RETRIES = "run_retries:\n  enabled: true\n  max_retries: 1\n  retry_on_asset_or_op_failure: false"


def settings(instance: dg.DagsterInstance, models: Iterable[str]) -> Iterator[Finding]:
    """Yield a finding on every setting of the instance that a promise depends on."""
    yield _granularity(instance)
    yield _limit(instance, [f"{model}_champion" for model in models])
    yield _slots(instance)
    yield _monitoring(instance)
    yield _runtime(instance)
    yield _retries(instance)
    yield _queue(instance)
    yield _telemetry(instance)
    yield _stores(instance)
    yield _launcher(instance)


def _granularity(instance: dg.DagsterInstance) -> Finding:
    name, set_to = "pool granularity", instance.get_concurrency_config().pool_config.pool_granularity
    if set_to is None:
        why = "A promotion holds a slot of its pool for one step; Dagster takes `op` now, but that is its own default."
        return advice(name, "concurrency.pools.granularity is not set", why, _POOLS)
    if set_to.value == "run":
        why = "Steps then claim no slot: two promotions of one model may interleave, and the worse one may stay."
        return fault(name, "concurrency.pools.granularity is run", why, _POOLS)
    return fine(name, "concurrency.pools.granularity is op")


def _limit(instance: dg.DagsterInstance, pools: list[str]) -> Finding:
    """Check the limit of each pool: a pool's own limit goes before the default."""
    name, default = "pool limit", instance.get_concurrency_config().pool_config.default_pool_limit
    own = {each.name: each.limit for each in instance.event_log_storage.get_pool_limits() if not each.from_default}
    limits = {pool: own.get(pool, default) for pool in pools}
    wrong = [pool for pool, limit in limits.items() if limit != 1]
    why = "Only a limit of 1 keeps promotions of one model from interleaving; with more, the worse one may stay."
    if set(wrong) & set(own):
        mend = "Deployment > Concurrency in the UI: set the limit of each of these pools to 1"
        return fault(name, f"the limit of {listed(sorted(set(wrong) & set(own)))} is not 1", why, mend)
    if wrong or (not pools and default != 1):
        found = "is not set" if default is None else f"is {default}"
        return fault(name, f"concurrency.pools.default_limit {found}", why, _POOLS)
    return fine(name, "one promotion of a model at a time")


def _slots(instance: dg.DagsterInstance) -> Finding:
    name = "slots freed"
    seconds = (instance.run_monitoring_settings or {}).get("free_slots_after_run_end_seconds")
    if not seconds:
        why = "A run that is killed keeps its slot for ever: its model is never promoted again."
        return fault(name, "run_monitoring.free_slots_after_run_end_seconds is not set", why, _MONITORING)
    if not instance.run_monitoring_enabled:
        why = "It is monitoring that frees the slots of a killed run."
        return fault(name, "free_slots_after_run_end_seconds is set, but run_monitoring is off", why, _MONITORING)
    return fine(name, f"slots are freed {seconds} s after a run ends")


def _monitoring(instance: dg.DagsterInstance) -> Finding:
    if not instance.run_monitoring_enabled:
        why = "A run that never starts, or whose process dies, stays as running, and its model waits for it."
        return fault("run monitoring", "run_monitoring is not enabled", why, _MONITORING)
    return fine("run monitoring", "enabled")


def _runtime(instance: dg.DagsterInstance) -> Finding:
    name, seconds = "longest run", (instance.run_monitoring_settings or {}).get("max_runtime_seconds", 0)
    if not seconds:
        why = "It is the only thing that ends a run whose machine died; until then nothing else is trained."
        return fault(name, "run_monitoring.max_runtime_seconds is not set", why, _MONITORING)
    return fine(name, f"a run is ended after {seconds} s")


def _retries(instance: dg.DagsterInstance) -> Finding:
    name, found = "run retries", instance.get_settings("run_retries") or {}
    if not instance.run_retries_enabled:
        why = "A run whose process crashed is not tried again; a job that a person launched is then lost."
        return fault(name, "run_retries is not enabled", why, _RETRIES)
    if found.get("retry_on_asset_or_op_failure", True):
        why = "A step that refuses its work, such as a rejected batch, is run again for nothing; repeat crashes only."
        return advice(name, "run_retries.retry_on_asset_or_op_failure is not false", why, _RETRIES)
    return fine(name, "a crashed run is tried again, a step that refused its work is not")


def _queue(instance: dg.DagsterInstance) -> Finding:
    if not isinstance(instance.run_coordinator, QueuedRunCoordinator):
        why = "Runs start at once, however many: a hundred new batches take the machine down."
        mend = "remove `run_coordinator` from dagster.yaml, and set\nconcurrency:\n  runs:\n    max_concurrent_runs: 4"
        return advice("run queue", f"runs go to {type(instance.run_coordinator).__name__}", why, mend)
    config = instance.get_concurrency_config().run_queue_config
    most = "an unlimited number of" if config is None else config.max_concurrent_runs
    return fine("run queue", f"{most} runs at once")


def _telemetry(instance: dg.DagsterInstance) -> Finding:
    if instance.telemetry_enabled:
        why = "Dagster reports its use over the network, which this pack says that nothing does."
        return fault("telemetry of Dagster", "on", why, "telemetry:\n  enabled: false")
    return fine("telemetry of Dagster", "off")


def _stores(instance: dg.DagsterInstance) -> Finding:
    kinds = {type(each).__name__ for each in (instance.run_storage, instance.event_log_storage)}
    if any("Sqlite" in kind for kind in kinds):
        why = "SQLite serves one machine and few runs at once; over a network file system it breaks."
        mend = "on more than one machine (pip install dagster-postgres):\nstorage:\n  postgres:\n    postgres_url:\n"
        return advice("stores of Dagster", "SQLite", why, f"{mend}      env: DAGSTER_POSTGRES_URL")
    return fine("stores of Dagster", listed(sorted(kinds)))


def _launcher(instance: dg.DagsterInstance) -> Finding:
    name, kind = "run launcher", type(instance.run_launcher).__name__
    if kind == "DefaultRunLauncher":
        return fine(name, f"{kind}: each run is a process of the code server's machine")
    why = "Runs on other machines see neither a local storage folder nor a local MLflow database."
    return advice(name, kind, why, "let MLOPS_ASSETS_STORAGE and MLFLOW_TRACKING_URI name what all of them reach")
