"""The events of runs and sensors in Dagster, newest first, as plain values."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from mlops_assets.dagster_private import check_evaluations

_PAGE = 200


@dataclass(frozen=True)
class Event:
    """A materialisation, an observation or a check: when, by which run ("" for a sensor), and its plain metadata."""

    at: datetime
    run_id: str
    metadata: Mapping[str, Any]


def events(fetch: Callable[..., Any], key: dg.AssetKey) -> Iterator[Event]:
    """Yield events of an asset, newest first, page by page on demand.

    fetch: `fetch_materializations` or `fetch_observations` of an instance.
    """
    cursor: str | None = None
    while True:
        page = fetch(key, limit=_PAGE, cursor=cursor)
        for record in page.records:
            if (event := record.asset_materialization or record.asset_observation) is not None:
                yield _event(record.timestamp, record.run_id, event.metadata)
        if not page.has_more:
            return
        cursor = page.cursor


def not_passed(instance: dg.DagsterInstance, key: dg.AssetKey, name: str, most: int = 500) -> Iterator[Event]:
    """Yield the failed evaluations of a check, newest first; `metadata` includes the `description`."""
    for record in check_evaluations(instance, dg.AssetCheckKey(key, name), most, failed_only=True):
        if record.evaluation is not None:
            description = {"description": record.evaluation.description or ""}
            yield _event(record.create_timestamp, record.run_id, record.evaluation.metadata, description)


def plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return Dagster's metadata as JSON: tables as lists of objects, without pictures."""
    values = {name: _plain(value) for name, value in metadata.items()}
    return {name: value for name, value in values.items() if not (isinstance(value, str) and value.startswith("!["))}


def _event(seconds: float, run_id: str | None, metadata: Mapping[str, Any], more: Mapping[str, Any] = {}) -> Event:
    """Return an event; its run is "" if no run recorded it."""
    return Event(datetime.fromtimestamp(seconds, UTC), run_id or "", {**plain(metadata), **more})


def _plain(value: dg.MetadataValue[Any]) -> Any:
    if isinstance(value, dg.TableMetadataValue):
        names = [column.name for column in value.schema.columns]
        return [{name: row.data.get(name) for name in names} for row in value.records]
    return value.value
