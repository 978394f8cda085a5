"""dagster.yaml: pools, slots, monitoring, retries, telemetry, stores."""

from collections.abc import Iterable, Iterator

import dagster as dg

from mlops_assets.cli.doctor import servers
from mlops_assets.cli.doctor.findings import Finding, advice, fault
from mlops_assets.dagster_private import QueuedRunCoordinator
from mlops_assets.text import listed

_POOLS = "concurrency:\n  pools:\n    granularity: op\n    default_limit: 1"
_MONITORING = (
    "run_monitoring:\n  enabled: true\n  max_runtime_seconds: 14400 # longer than your longest run\n"
    "  free_slots_after_run_end_seconds: 60"
)
_RETRIES = "run_retries:\n  enabled: true\n  max_retries: 1\n  retry_on_asset_or_op_failure: false"
_QUEUE = "remove `run_coordinator` from dagster.yaml, and set\nconcurrency:\n  runs:\n    max_concurrent_runs: 4"


def settings(instance: dg.DagsterInstance, models: Iterable[str]) -> Iterator[Finding]:
    """Yield a finding on every setting of the instance that a promise depends on."""
    yield _granularity(instance)
    yield _limit(instance, [f"{model}_champion" for model in models])
    yield from _monitoring(instance)
    yield _retries(instance)
    yield from _runs_and_stores(instance)


def _granularity(instance: dg.DagsterInstance) -> Finding:
    name, granularity = "pool granularity", instance.get_concurrency_config().pool_config.pool_granularity
    if granularity is None:
        why = "A promotion holds a slot of its pool for one step; Dagster's default is `op` today, and may change."
        return advice(name, "concurrency.pools.granularity is not set", why, _POOLS)
    why = "Steps then claim no slot: two promotions of one model may interleave, and the worse one may stay."
    by_run = fault(name, "concurrency.pools.granularity is run", why, _POOLS)
    return by_run.unless(granularity.value != "run", "concurrency.pools.granularity is op")


def _limit(instance: dg.DagsterInstance, pools: list[str]) -> Finding:
    """Check the limit of each pool: a pool's own limit goes before the default."""
    name, default = "pool limit", instance.get_concurrency_config().pool_config.default_pool_limit
    own = {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits() if not pool.from_default}
    wrong = {pool for pool in pools if own.get(pool, default) != 1}
    why = "Only a limit of 1 keeps promotions of one model from interleaving; with more, the worse one may stay."
    if own_wrong := sorted(wrong & own.keys()):
        mend = "Deployment > Concurrency in the UI: set the limit of each of these pools to 1"
        return fault(name, f"the limit of {listed(own_wrong)} is not 1", why, mend)
    limit = "is not set" if default is None else f"is {default}"
    too_high = fault(name, f"concurrency.pools.default_limit {limit}", why, _POOLS)
    return too_high.unless(default == 1 or (pools and not wrong), "one promotion of a model at a time")


def _monitoring(instance: dg.DagsterInstance) -> Iterator[Finding]:
    enabled, options = instance.run_monitoring_enabled, instance.run_monitoring_settings or {}
    delay, longest = options.get("free_slots_after_run_end_seconds"), options.get("max_runtime_seconds")
    if delay and not enabled:
        why = "Only monitoring frees the slots of a killed run."
        option = "free_slots_after_run_end_seconds"
        yield fault("slots freed", f"{option} is set, but run_monitoring is off", why, _MONITORING)
    else:
        why = "A run that is killed keeps its slot for ever: its model is never promoted again."
        never = fault("slots freed", "run_monitoring.free_slots_after_run_end_seconds is not set", why, _MONITORING)
        yield never.unless(delay, f"slots are freed {delay} s after a run ends")
    why = "A run that never starts, or whose process dies, stays as running, and its model waits for it."
    yield fault("run monitoring", "run_monitoring is not enabled", why, _MONITORING).unless(enabled, "enabled")
    why = "Only this limit ends a run whose machine died; until then nothing else is trained."
    endless = fault("longest run", "run_monitoring.max_runtime_seconds is not set", why, _MONITORING)
    yield endless.unless(longest, f"a run is ended after {longest} s")


def _retries(instance: dg.DagsterInstance) -> Finding:
    options = instance.get_settings("run_retries") or {}
    if not instance.run_retries_enabled:
        why = "A run whose process crashed is not tried again; a job that a person launched is then lost."
        return fault("run retries", "run_retries is not enabled", why, _RETRIES)
    why = "A step that refuses its work, such as a rejected batch, is run again for nothing; repeat crashes only."
    always = advice("run retries", "run_retries.retry_on_asset_or_op_failure is not false", why, _RETRIES)
    crashes_only = not options.get("retry_on_asset_or_op_failure", True)
    return always.unless(crashes_only, "a crashed run is tried again, a step that refused its work is not")


def _runs_and_stores(instance: dg.DagsterInstance) -> Iterator[Finding]:
    """Check how runs start, what Dagster sends, and where it keeps its records."""
    queue = instance.get_concurrency_config().run_queue_config
    most = "an unlimited number of" if queue is None else queue.max_concurrent_runs
    why = "Runs start at once, however many: a hundred new batches take the machine down."
    no_queue = advice("run queue", f"runs go to {type(instance.run_coordinator).__name__}", why, _QUEUE)
    yield no_queue.unless(isinstance(instance.run_coordinator, QueuedRunCoordinator), f"{most} runs at once")
    why = "Dagster reports its use over the network; this pack promises that nothing does."
    reported = fault("telemetry of Dagster", "on", why, "telemetry:\n  enabled: false")
    yield reported.unless(not instance.telemetry_enabled, "off")
    yield servers.dagster_database(instance)
    yield servers.compute_logs(instance)
    yield servers.launcher(instance)
