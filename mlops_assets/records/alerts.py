"""The alerts that were sent: an alert that is due and is not recorded here still has to be sent."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from mlops_assets.records.typed import Records
from mlops_assets.resources.alerts import Alert
from mlops_assets.resources.storage import Storage


@dataclass(frozen=True, kw_only=True)
class AlertRecord:
    """An alert that was sent: its keys, the services that have it, and whether these are all services."""

    KIND: ClassVar[str] = "alerts"

    keys: tuple[str, ...]
    title: str
    reached: tuple[str, ...]
    complete: bool
    at: str


class AlertLedger:
    """The alerts of one model, written by the job that sends them."""

    def __init__(self, storage: Storage, model: str) -> None:
        self._alerts = Records(storage, model, AlertRecord)

    def sent(self) -> set[str]:
        """Return the keys of all alerts that every service has."""
        return {key for record in self._alerts.all().values() if record.complete for key in record.keys}

    def is_sent(self, alert: Alert) -> bool:
        """Return whether every service has this alert."""
        record = self._get(alert)
        return record is not None and record.complete

    def reached(self, alert: Alert) -> tuple[str, ...]:
        """Return the services that have this alert."""
        record = self._get(alert)
        return () if record is None else record.reached

    def put(self, alert: Alert, reached: tuple[str, ...], complete: bool) -> None:
        """Record which services have an alert, and whether these are all services."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        self._alerts.put(
            _key(alert), AlertRecord(keys=alert.keys, title=alert.title(), reached=reached, complete=complete, at=at)
        )

    def _get(self, alert: Alert) -> AlertRecord | None:
        return self._alerts.get(_key(alert))


def _key(alert: Alert) -> str:
    """Return a key of bounded length: the alert's own key holds text from data."""
    return hashlib.sha256(alert.key.encode()).hexdigest()[:24]
