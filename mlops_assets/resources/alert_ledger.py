"""Which alerts were sent: what stands now and is not in here is what a person still has to be told."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from mlops_assets.resources.alerts import Alert
from mlops_assets.resources.storage import Storage


class AlertLedger:
    """The alerts of one model, one small file each, written by the job that sends them."""

    def __init__(self, storage: Storage, model: str) -> None:
        self._storage = storage
        self._model = model

    def told(self) -> set[str]:
        """The keys of all that every service was told."""
        found = self._storage.list_json(self._model, "alerts").values()
        return {key for value in found if value["complete"] for key in value["keys"]}

    def is_told(self, alert: Alert) -> bool:
        """Whether every service has this alert."""
        value = self._get(alert)
        return value is not None and bool(value["complete"])

    def reached(self, alert: Alert) -> tuple[str, ...]:
        """The services that have this alert."""
        value = self._get(alert)
        return () if value is None else tuple(value["reached"])

    def put(self, alert: Alert, reached: tuple[str, ...], complete: bool) -> None:
        """Record which services have an alert, and whether these are all."""
        value = {
            "keys": list(alert.keys),
            "title": alert.title(),
            "reached": list(reached),
            "complete": complete,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self._storage.write_json(self._model, "alerts", _name(alert), value=value)

    def _get(self, alert: Alert) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._storage.read_json(self._model, "alerts", _name(alert))
        return found


def _name(alert: Alert) -> str:
    """A file name from a key, which holds text from data."""
    return hashlib.sha256(alert.key.encode()).hexdigest()[:24]
