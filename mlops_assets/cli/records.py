"""The events of runs and sensors in Dagster, newest first, as plain values."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from mlops_assets.dagster_private import check_evaluations

_PAGE = 200


@dataclass(frozen=True)
class Record:
    """A materialisation or an observation: when, by which run ("" for a sensor), and its plain metadata."""

    at: datetime
    run_id: str
    metadata: Mapping[str, Any]


def materialized(instance: dg.DagsterInstance, key: dg.AssetKey) -> Iterator[Record]:
    """Yield materialisations of an asset, newest first, page by page on demand."""
    return _records(instance.fetch_materializations, key)


def observed(instance: dg.DagsterInstance, key: dg.AssetKey) -> Iterator[Record]:
    """Yield observations of an asset, newest first, page by page on demand."""
    return _records(instance.fetch_observations, key)


def not_passed(instance: dg.DagsterInstance, key: dg.AssetKey, name: str, most: int = 500) -> Iterator[Record]:
    """Yield the failed evaluations of a check, newest first; `metadata` includes the `description`."""
    for each in check_evaluations(instance, dg.AssetCheckKey(key, name), most, failed_only=True):
        if each.evaluation is not None:
            told = {**plain(each.evaluation.metadata), "description": each.evaluation.description or ""}
            yield Record(_moment(each.create_timestamp), _run(each.run_id), told)


def plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return Dagster's metadata as JSON: tables as lists of objects, without pictures."""
    told = {name: _plain(value) for name, value in metadata.items()}
    return {name: value for name, value in told.items() if not _is_picture(value)}


def _records(fetch: Callable[..., Any], key: dg.AssetKey) -> Iterator[Record]:
    cursor: str | None = None
    while True:
        page = fetch(key, limit=_PAGE, cursor=cursor)
        for each in page.records:
            told = each.asset_materialization or each.asset_observation
            if told is not None:
                yield Record(_moment(each.timestamp), _run(each.run_id), plain(told.metadata))
        if not page.has_more:
            return
        cursor = page.cursor


def _plain(value: dg.MetadataValue[Any]) -> Any:
    if isinstance(value, dg.TableMetadataValue):
        names = [column.name for column in value.schema.columns]
        return [{name: row.data.get(name) for name in names} for row in value.records]
    return value.value


def _is_picture(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("![")


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _run(run_id: str | None) -> str:
    """Return the id of a run, "" for events that no run recorded."""
    return run_id or ""
