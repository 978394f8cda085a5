"""`make demo`: batches of real data through a real Dagster instance, to champions that are judged, replaced and kept.

The same jobs that the UI and the sensors launch run here one after another, in a process for each model.
"""

import logging
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import dagster as dg

from definitions import defs
from mlops_assets.assets.shared.keys import MARK, asset_key, batches, declared
from mlops_assets.records.batches import BatchLedger
from resources import HOME, resources

PLAN = {"co2_forecast": (19, 12, 13), "doctor_visits": (10, 11)}
"""How many batches of each model arrive before each training."""

MODEL = sys.argv[1] if sys.argv[1:] else ""
"""The model whose life this process runs; the first process starts one for each."""

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def main() -> int:
    """Run the plan; exit code 0 when each model has a champion."""
    if MODEL:
        logging.disable(logging.INFO)
        with dg.DagsterInstance.get() as instance:
            return 0 if life_of(MODEL, PLAN[MODEL], instance) else 1
    started = time.monotonic()
    say(f"Everything is written below {HOME}\n")
    with dg.DagsterInstance.get():  # makes its files before two processes want to
        lives = [subprocess.Popen([sys.executable, "-m", "demo", model]) for model in PLAN]
    failures = sum(life.wait() != 0 for life in lives)
    say(f"Done in {time.monotonic() - started:.0f} s. Now `make dev`, then open")
    say("  http://127.0.0.1:3000/asset-groups   the assets: each with its plots, tables and checks")
    say("  http://127.0.0.1:5000/#/models?workflowType=machine_learning   the registry: versions, tags, digests")
    return 1 if failures else 0


def life_of(model: str, arrivals: tuple[int, ...], instance: dg.DagsterInstance) -> bool:
    """Batches arrive, a model is trained, more arrive, it is trained again. Whether it has a champion at the end."""
    say(str(declared(model).description))
    storage, registry = resources["mlops_storage"], resources["mlflow_registry"]
    ready = list(declared(model).source.look(None).ready.items())
    instance.add_dynamic_partitions(batches(model).name, [batch for batch, _ in ready])
    position = 0
    for count in arrivals:
        take_in(model, ready[position : position + count], instance, BatchLedger(storage, model))
        position += count
        train(model, instance)
    champion = registry.champion(model)
    if champion is not None:
        say(f"champion: version {champion.version}, trained until {champion.tags['trained_until']}")
    return champion is not None


def take_in(model: str, arrived: list[tuple[str, str]], instance: dg.DagsterInstance, ledger: BatchLedger) -> None:
    """One batch run for each batch that was not taken in as it is."""
    tally: Counter[str] = Counter()
    alarms: Counter[str] = Counter()
    for number, (batch, mark) in enumerate(arrived, start=1):
        record = ledger.get(batch)
        if record is not None and record.mark == mark:
            tally["known"] += 1
            continue
        result = run(f"{model}_batch", instance, partition_key=batch, tags={MARK: mark})
        found = [check for check in result.get_asset_check_evaluations() if check.passed or has_model(check)]
        failed = sorted({check.check_name for check in found if not check.passed})
        tally["accepted" if result.success else "rejected"] += 1
        tally["checks"] += len(found)
        alarms.update(failed)
        progress(f"batch {number}/{len(arrived)} {batch}: {', '.join(failed) or 'all checks pass'}")
    counts = ", ".join(f"{count} {what}" for what, count in tally.items())
    not_passed = ", ".join(f"{name} {count} times" for name, count in alarms.items()) or "none"
    say(f"{len(arrived)} batches, {arrived[0][0]} to {arrived[-1][0]}: {counts}; not passed: {not_passed}")


def has_model(check: Any) -> bool:
    """Whether a drift or performance check had a champion to look at; before the first one there is nothing to say."""
    return "there is no champion" not in (check.description or "")


def train(model: str, instance: dg.DagsterInstance) -> None:
    """One training run, and what it decided."""
    progress("training ...")
    result = run(f"{model}_training", instance)
    failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
    for check in failed:
        say(f"check {check.check_name} did not pass: {check.description}")
    if not result.success:
        say(f"training failed: {reason(result)}")
        return
    shown = {name: value.value for name, value in newest(instance, model, "champion").items()}
    figures = {name: value.value for name, value in newest(instance, model, "evaluation").items()}
    first = declared(model).metrics[0]
    say(f"version {shown['judged_version']}: {first} {figures[first]:.4g} on {figures['holdout_rows']} newer rows")
    say(f"verdict {shown['verdict']}: {shown['reason']}")


def reason(result: dg.ExecuteInProcessResult) -> str:
    """What stopped the first step that failed, in its own words."""
    error = next(event.step_failure_data.error for event in result.all_events if event.is_step_failure)
    told = error.cause if error is not None and error.cause is not None else error
    return told.message.strip() if told is not None else "see the run in the UI"


def newest(instance: dg.DagsterInstance, model: str, kind: str) -> Mapping[str, dg.MetadataValue]:
    """Metadata of the newest materialisation of an asset."""
    event = instance.get_latest_materialization_event(asset_key(model, kind))
    assert event is not None and event.asset_materialization is not None  # its run has just succeeded
    return event.asset_materialization.metadata


def run(job: str, instance: dg.DagsterInstance, **options: Any) -> dg.ExecuteInProcessResult:
    """One run of a job, recorded in the instance like any other."""
    return defs.resolve_job_def(job).execute_in_process(
        instance=instance, raise_on_error=False, run_config=QUIET, **options
    )


def say(line: str) -> None:
    """A line that stays."""
    _print(line, "\n")


def progress(line: str) -> None:
    """A line that the next one overwrites where a person watches."""
    _print(line, "" if sys.stdout.isatty() else "\n")


def _print(line: str, end: str) -> None:
    clear = "\r\033[K" if sys.stdout.isatty() else ""
    print(f"{clear}{MODEL and f'{MODEL}: '}{line}", end=end, flush=True)


if __name__ == "__main__":
    sys.exit(main())
