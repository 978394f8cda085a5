"""`alerts`: one sensor for all models that requests a run to send alerts that are due, and the job that sends them."""

import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import dagster as dg

from mlops_assets.errors import MlopsAssetsError
from mlops_assets.records.alerts import AlertLedger
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.resources.alerts import Alert, Alerts, DeliveryError
from mlops_assets.resources.storage import Storage
from mlops_assets.sensors.alerts.failed_runs import failed_runs, run_alarms
from mlops_assets.sensors.alerts.recorded_alarms import LONGEST, recorded_alarms
from mlops_assets.sensors.each_model import each_model
from mlops_assets.sensors.models import models_of
from mlops_assets.sensors.runs import NO_RETRIES, UNFINISHED

# Dagster warns of a parameter that it passes itself when it gives resources to a sensor's job.
warnings.filterwarnings("ignore", "Parameter `owners` of initializer `SensorDefinition", category=dg.BetaWarning)

JOB = "mlops_assets_alerts"
MOST_PER_RUN = 20
MOST_SECONDS = 40.0
MOST_SINGLE = 5
_MOST_SUMMED = 1_000
_LONGEST_RUN = timedelta(minutes=15)
_LONGEST_WAIT = timedelta(hours=6)


class AlertsConfig(dg.Config):
    """The alerts that a run sends."""

    alerts: list[dict[str, Any]]


def alerts_job(retry_seconds: float = 5.0) -> dg.JobDefinition:
    """Return the job that sends alerts. Failed deliveries are tried three times more, first after `retry_seconds`."""

    @dg.op(
        retry_policy=dg.RetryPolicy(max_retries=3, delay=retry_seconds, backoff=dg.Backoff.EXPONENTIAL),
        description="Sends each alert on its own, and notes which were sent so that none is sent twice.",
    )
    def send_alerts(
        context: dg.OpExecutionContext, config: AlertsConfig, mlops_storage: Storage, mlops_alerts: Alerts
    ) -> None:
        alerts = [alert_of(value) for value in config.alerts]
        ledgers = {alert.model: AlertLedger(mlops_storage, alert.model) for alert in alerts}
        waiting = [alert for alert in alerts if not ledgers[alert.model].is_sent(alert)]
        problems = [problem for alert in waiting if (problem := _sent(alert, ledgers[alert.model], mlops_alerts))]
        sent = len(waiting) - len(problems)
        context.log.info(f"{sent} of {len(waiting)} alerts sent to: {', '.join(mlops_alerts.services())}")
        if problems:
            raise MlopsAssetsError(f"{len(problems)} of {len(waiting)} alerts were not sent. " + "\n".join(problems))
        context.add_output_metadata({"sent": sent, "services": len(mlops_alerts.services())})

    @dg.job(name=JOB, executor_def=dg.in_process_executor, description="Sends alerts; the sensor `alerts` says which.")
    def job() -> None:
        send_alerts()

    return job


def alert_of(value: dict[str, Any]) -> Alert:
    """Return an alert from run configuration."""
    return Alert(**{**value, "owners": tuple(value["owners"]), "covers": tuple(value["covers"])})


def alerts_sensor(
    name: str = "alerts",
    minimum_interval_seconds: int = 60,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.RUNNING,
    retry_seconds: float = 300.0,
) -> dg.SensorDefinition:
    """Return a sensor that compares the alarms of every model in its code location with the alerts that were sent.

    A tick requests at most one run, with at most 20 alerts. An alert that could not be sent is requested again after
    `retry_seconds`, then after four times that and so on, at least every six hours. This ends with the alarm, or when
    the alarm is seven days old.
    """

    @dg.sensor(
        name=name,
        job=alerts_job(retry_seconds / 60),
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=default_status,
        description="Tells people of failed runs, rejected batches, drift, decay, refused, undecided and waiting "
        "challengers, records that cannot be read and a registry that was tampered with; each once.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, mlops_storage: Storage, mlops_alerts: Alerts
    ) -> dg.SensorResult | dg.SkipReason:
        if not mlops_alerts.services():
            return dg.SkipReason(
                f"no alerts are sent: set {mlops_alerts.variable} to one or more Apprise URLs, such as "
                "mailto://user:password@example.com or slack://TokenA/TokenB/TokenC"
            )
        now = datetime.now(UTC)
        if _under_way(context.instance, now):
            return dg.SkipReason("a run that sends alerts is under way")
        tried: dict[str, list[Any]] = json.loads(context.cursor or "{}")
        waiting = _waiting(context, mlops_storage, now)
        memory = {alert.key: tried[alert.key] for alert in waiting if alert.key in tried}
        due = summed([alert for alert in waiting if _due(memory.get(alert.key), retry_seconds, now)])[:MOST_PER_RUN]
        for key in [key for alert in due for key in alert.covers or [alert.key]]:
            memory[key] = [memory.get(key, [0])[0] + 1, now.isoformat()]
        requests = [_request(due, memory)] if due else []
        skipped = None if due else f"nothing new to tell; {len(waiting)} alerts wait to be tried again"
        return dg.SensorResult(requests, cursor=json.dumps(memory), skip_reason=skipped)

    return sensor


def summed(alerts: Sequence[Alert]) -> list[Alert]:
    """Return the alerts, oldest first; more than five alerts of one kind on one model become a single alert."""
    groups: dict[tuple[str, str], list[Alert]] = {}
    for alert in sorted(alerts, key=lambda alert: alert.at):
        groups.setdefault((alert.model, alert.kind), []).append(alert)
    few = [group if len(group) <= MOST_SINGLE else [_sum(group)] for group in groups.values()]
    return sorted(chain(*few), key=lambda alert: alert.at)


def _sum(group: Sequence[Alert]) -> Alert:
    covered = group[-_MOST_SUMMED:]
    newest = covered[-1]
    keys = tuple(alert.key for alert in covered)
    shown = ", ".join(alert.subject for alert in covered[-MOST_SINGLE:])
    return replace(
        newest,
        subject=f"{len(group)} at once",
        reason=f"the newest: {shown}. {newest.subject}: {newest.reason}",
        key=f"{newest.model}/{newest.kind}/sum/{_digest(keys)}",
        covers=keys,
    )


def _waiting(context: dg.SensorEvaluationContext, storage: Storage, now: datetime) -> list[Alert]:
    """Return the current alerts that are not older than seven days and were not sent."""
    failed = failed_runs(context.instance, [model.name for model in models_of(context)], now)
    oldest = (now - LONGEST).isoformat(timespec="seconds")
    alerts: list[Alert] = []

    def look(records: ModelRecords, _: None) -> None:
        sent = records.alerts.sent()
        current = [*run_alarms(records, context.instance, failed, sent), *recorded_alarms(records, context.instance)]
        alerts.extend(alert for alert in current if alert.key not in sent and alert.at >= oldest)

    each_model(context, storage, None, look, seconds=MOST_SECONDS)
    return alerts


def _due(tried: list[Any] | None, retry_seconds: float, now: datetime) -> bool:
    """Return whether an alert was never tried, or its last attempt ([how many, when]) was long enough ago."""
    if tried is None:
        return True
    wait = min(timedelta(seconds=retry_seconds) * 4 ** min(tried[0] - 1, 10), _LONGEST_WAIT)
    return bool(datetime.fromisoformat(tried[1]) + wait <= now)


def _under_way(instance: dg.DagsterInstance, now: datetime) -> bool:
    """Return whether a run of the last 15 minutes is unfinished; a run whose machine died delays alerts no longer."""
    wanted = dg.RunsFilter(job_name=JOB, statuses=UNFINISHED, created_after=now - _LONGEST_RUN)
    return bool(instance.get_run_records(wanted, limit=1))


def _request(alerts: Sequence[Alert], tried: dict[str, list[Any]]) -> dg.RunRequest:
    """Return a request for these alerts. Its key holds the attempt: Dagster never repeats the key of a failed run."""
    values = json.loads(json.dumps([asdict(alert) for alert in alerts]))
    return dg.RunRequest(
        run_key=_digest([(key, tried.get(key)) for alert in alerts for key in alert.keys]),
        run_config={"ops": {"send_alerts": {"config": {"alerts": values}}}},
        tags=NO_RETRIES,
    )


def _sent(alert: Alert, ledger: AlertLedger, alerts: Alerts) -> str:
    """Send one alert and record which services have it; return "" or what went wrong."""
    try:
        reached = alerts.send(alert, ledger.reached(alert))
    except DeliveryError as error:
        ledger.put(alert, error.reached, complete=False)
        return str(error)
    ledger.put(alert, reached, complete=True)
    return ""


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:24]
