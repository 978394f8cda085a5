"""The batches of an `UpstreamAsset`: what the instance says was materialised, loaded through the asset's IO manager."""

import re
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from mlops_assets.errors import DeclarationError, SourceError, SourceUnavailableError
from mlops_assets.sources import Source, UpstreamAsset
from mlops_assets.sources.keys import natural_order, safe_key
from mlops_assets.sources.look import RUNNING, Look, Waiting
from mlops_assets.text import listed

if TYPE_CHECKING:
    import pandas as pd

_MATERIALIZATION = re.compile(r"\d{8}T\d{6}-[0-9a-z]{1,20}\Z", re.ASCII)
_REPLACED = "replaced"

_Divided = tuple[tuple[int, str], dict[str, str]]
_DIVIDED: dict[tuple[str, ...], _Divided] = {}
"""The periods of the newest materialisation of each asset that a sensor of this process loaded, and their marks."""


def upstream_deps(source: Source | None) -> list[dg.AssetDep]:
    """What an asset that reads a source depends on in Dagster: any of the partitions, whatever these are."""
    if not isinstance(source, UpstreamAsset):
        return []
    return [dg.AssetDep(dg.AssetKey(source.parts), partition_mapping=dg.AllPartitionMapping())]


def look_upstream(
    source: UpstreamAsset,
    context: dg.SensorEvaluationContext,
    seen: Mapping[str, str],
    now: "pd.Timestamp | None" = None,
) -> Look:
    """Which batches an asset gives, the marks of which change with each materialisation.

    `seen` has the marks of the batches known so far. SourceUnavailableError where there is no such asset; nothing is
    loaded, except with `period` where the asset was materialised anew.
    """
    defined, definition = _definition(source, context)
    newest = _newest(source, context.instance)
    if newest is None and not defined:
        raise SourceUnavailableError(_unknown(source, _defined(context)))
    if newest is None:
        return Look({}, (Waiting(source.key, "was never materialised"),), {})
    marks = _partition_marks(source, context.instance)
    if definition is not None or (marks and not defined):
        if source.period is not None:
            raise DeclarationError(f"{source.title}: is partitioned, and each partition is a batch. Leave out period.")
        return _look_at_partitions(marks, definition, context.instance)
    if source.period is not None:
        return _look_at_periods(source, newest, context, now)
    latest = _key_of(newest)
    replaced = [key for key in seen if _MATERIALIZATION.match(key) and key != latest]
    ready = {key: seen[key] or _REPLACED for key in sorted(replaced)}
    return Look({**ready, latest: str(newest.storage_id)}, (), {})


def read_batch(source: Source, batch: str, context: dg.AssetExecutionContext) -> "pd.DataFrame":
    """All rows of a batch of any source.

    SourceError where the batch is at fault, SourceUnavailableError where its source is and it should be tried again.
    """
    if not isinstance(source, UpstreamAsset):
        return source.read(batch)
    from mlops_assets.sources.rows import divided, refuse, timed

    partition = _partition_of(source, batch, context.instance)
    try:
        value = context.load_asset_value(dg.AssetKey(source.parts), partition_key=partition)
    except Exception as problem:  # the IO manager is the user's
        raise _not_loaded(source, batch, problem) from None
    frame = _as_frame(source, value)
    if source.period is None:
        refuse(source, batch, frame)
        return timed(source, batch, frame).reset_index(drop=True)
    for key, rows in divided(source, frame, source.period):
        if key == batch:
            return rows
    raise SourceError(
        f"{source.title}: batch {batch!r:.120}: has no rows any more. Put them back, or give up the batch."
    )


def _definition(
    source: UpstreamAsset, context: dg.SensorEvaluationContext
) -> tuple[bool, dg.PartitionsDefinition[Any] | None]:
    """Whether the code location defines the asset, and its partitions if so."""
    assert context.repository_def is not None  # a sensor of a code location has one
    graph, key = context.repository_def.asset_graph, dg.AssetKey(source.parts)
    # Dagster makes a stub of what is depended upon and not defined: an asset of another code location, or a wrong key.
    if graph.has(key) and not graph.get(key).assets_def.is_auto_created_stub:
        return True, graph.get(key).partitions_def
    return False, None


def _defined(context: dg.SensorEvaluationContext) -> list[str]:
    assert context.repository_def is not None
    graph = context.repository_def.asset_graph
    nodes = (graph.get(key) for key in graph.get_all_asset_keys())
    return [node.key.to_user_string() for node in nodes if not node.assets_def.is_auto_created_stub]


def _unknown(source: UpstreamAsset, keys: Iterable[str]) -> str:
    import difflib

    others = sorted(keys)
    close = difflib.get_close_matches(source.key, others, n=1, cutoff=0.5)
    meant = f"; did you mean {close[0]!r}?" if close else ""
    return (
        f"{source.title}: there is no such asset in this code location, and none was ever materialised in another"
        f"{meant} (assets: {listed(others, 10)}). Correct the key, or declare the asset."
    )


def _partition_marks(source: UpstreamAsset, instance: dg.DagsterInstance) -> dict[str, str]:
    """The partitions that were materialised, each with the id of the newest event that says so."""
    found = instance.get_latest_storage_id_by_partition(
        dg.AssetKey(source.parts), dg.DagsterEventType.ASSET_MATERIALIZATION
    )
    return {partition: str(number) for partition, number in found.items()}


def _newest(source: UpstreamAsset, instance: dg.DagsterInstance) -> dg.EventLogRecord | None:
    records = instance.fetch_materializations(dg.AssetKey(source.parts), limit=1).records
    return records[0] if records else None


def _look_at_partitions(
    marks: Mapping[str, str], definition: dg.PartitionsDefinition[Any] | None, instance: dg.DagsterInstance
) -> Look:
    ready: dict[str, str] = {}
    clashes = []
    for partition in _in_order(marks, definition, instance):
        key = safe_key(partition)
        if key in ready:
            clashes.append(Waiting(partition, f"its key {key!r} is that of another partition; rename it"))
        else:
            ready[key] = marks[partition]
    return Look(ready, tuple(clashes), {})


def _in_order(
    marks: Mapping[str, str], definition: dg.PartitionsDefinition[Any] | None, instance: dg.DagsterInstance
) -> list[str]:
    """The materialised partitions that the definition has, in its order; of several dimensions, in that of time."""
    if definition is None:
        return sorted(marks, key=natural_order)
    keys = definition.get_partition_keys(dynamic_partitions_store=instance)
    if isinstance(definition, dg.MultiPartitionsDefinition) and definition.has_time_window_dimension:
        time_dimension = definition.time_window_dimension
        moments = time_dimension.partitions_def.get_partition_keys(dynamic_partitions_store=instance)
        place = {moment: number for number, moment in enumerate(moments)}
        keys = sorted(keys, key=lambda key: place[key.keys_by_dimension[time_dimension.name]])
    return [str(key) for key in keys if key in marks]


def _key_of(record: dg.EventLogRecord) -> str:
    """The batch key of a materialisation of an asset without partitions."""
    moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime(record.timestamp))
    return f"{moment}-{record.run_id[:8] or record.storage_id}"


def _partition_of(source: UpstreamAsset, batch: str, instance: dg.DagsterInstance) -> str | None:
    """The partition that a batch is; None where the asset has none. SourceError where it cannot be loaded any more."""
    newest = _newest(source, instance)
    if source.period is not None and newest is not None:
        return None
    found = [each for each in _partition_marks(source, instance) if batch == safe_key(each)]
    if len(found) == 1:
        return found[0]
    if newest is None or not _MATERIALIZATION.match(batch):
        raise SourceError(
            f"{source.title}: batch {batch!r:.120}: is no partition that was materialised. Materialise it, or give the "
            "batch up."
        )
    if batch != (latest := _key_of(newest)):
        raise SourceError(
            f"{source.title}: batch {batch!r:.120}: has been replaced: the asset was materialised anew as {latest!r}, "
            "and keeps the newest only. Give the batch up; partition the asset, or declare period, to keep the past."
        )
    return None


def _look_at_periods(
    source: UpstreamAsset, newest: dg.EventLogRecord, context: dg.SensorEvaluationContext, now: "pd.Timestamp | None"
) -> Look:
    import pandas as pd

    from mlops_assets.sources.data_version import data_version
    from mlops_assets.sources.periods import periods_over
    from mlops_assets.sources.rows import divided

    assert source.period is not None and context.repository_def is not None
    place = (source.key, source.period, str(source.time))
    materialization = (newest.storage_id, newest.run_id)
    known, marks = _DIVIDED.get(place, (None, {}))
    if known != materialization:
        try:
            with context.repository_def.get_asset_value_loader(instance=context.instance) as loader:
                value = loader.load_asset_value(dg.AssetKey(source.parts))
        except Exception as problem:  # the IO manager is the user's
            raise _not_loaded(source, None, problem) from None
        marks = {key: data_version(rows) for key, rows in divided(source, _as_frame(source, value), source.period)}
        _DIVIDED[place] = materialization, marks
    over, running = periods_over(marks, source.period, pd.Timestamp(time.time(), unit="s") if now is None else now)
    return Look({key: marks[key] for key in over}, tuple(Waiting(key, RUNNING) for key in running), {})


def _not_loaded(source: UpstreamAsset, batch: str | None, problem: Exception) -> SourceUnavailableError:
    text = re.sub(r"://\S*@", "://***@", str(problem))
    where = "" if batch is None else f" batch {batch!r:.120}:"
    return SourceUnavailableError(
        f"{source.title}:{where} its IO manager could not load it ({type(problem).__name__}: {text:.300}). Materialise "
        "it again; where it is of another code location, declare it here with the IO manager that loads it: "
        f"dg.AssetSpec({source.key!r:.120}).with_io_manager_key(...)."
    )


def _as_frame(source: UpstreamAsset, value: Any) -> "pd.DataFrame":
    import pandas as pd

    try:
        frame = value.to_pandas() if not isinstance(value, pd.DataFrame) and hasattr(value, "to_pandas") else value
    except Exception as problem:  # the value is of any library
        raise SourceError(
            f"{source.title}: to_pandas() of its value, a {type(value).__name__}, raised {type(problem).__name__}: "
            f"{problem!s:.200}. Return a DataFrame of pandas from the asset."
        ) from None
    if not isinstance(frame, pd.DataFrame):
        raise SourceError(
            f"{source.title}: its value is a {type(value).__name__}; expected a DataFrame of pandas, or what "
            "to_pandas() makes one of. Return one from the asset, or put an asset between that does."
        )
    return frame
