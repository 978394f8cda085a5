"""The assets of a project as sources see them, from Dagster's instance and code location."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dagster as dg

from mlops_assets.disk_frame import LargeFrame
from mlops_assets.lazy import pd
from mlops_assets.sources import Source, reading
from mlops_assets.sources.assets import Materialization
from mlops_assets.sources.reading import read

_Load = Callable[[dg.AssetKey, str | None], Any]


class ProjectAssets:
    """Dagster's answers to an `UpstreamAsset`; see `mlops_assets.sources.assets.Assets`."""

    def __init__(
        self, instance: dg.DagsterInstance, repository: dg.RepositoryDefinition | None, load: _Load | None = None
    ) -> None:
        self._instance, self._of_location, self._load = instance, repository, load

    @property
    def _repository(self) -> dg.RepositoryDefinition:
        assert self._of_location is not None  # a sensor of a code location has a repository
        return self._of_location

    def keys(self) -> list[str]:
        """Return the keys of the assets that the code location defines."""
        graph = self._repository.asset_graph
        nodes = (graph.get(key) for key in graph.get_all_asset_keys())
        return [node.key.to_user_string() for node in nodes if not node.assets_def.is_auto_created_stub]

    def is_defined(self, key: str) -> bool:
        """Return whether the code location defines the asset."""
        graph, asset = self._repository.asset_graph, _asset(key)
        # Dagster makes a stub of an undefined dependency: an asset of another code location, or a wrong key.
        return graph.has(asset) and not graph.get(asset).assets_def.is_auto_created_stub

    def partitions(self, key: str) -> list[str] | None:
        """Return all partitions of a defined asset in its order; with several dimensions, in the order of time."""
        definition = self._repository.asset_graph.get(_asset(key)).partitions_def
        if definition is None:
            return None
        keys: Any = definition.get_partition_keys(dynamic_partitions_store=self._instance)
        if isinstance(definition, dg.MultiPartitionsDefinition) and definition.has_time_window_dimension:
            time_dimension = definition.time_window_dimension
            moments = time_dimension.partitions_def.get_partition_keys(dynamic_partitions_store=self._instance)
            place = {moment: number for number, moment in enumerate(moments)}
            keys = sorted(keys, key=lambda key: place[key.keys_by_dimension[time_dimension.name]])
        return [str(key) for key in keys]

    def materialised(self, key: str) -> dict[str, str]:
        """Return the materialised partitions, each with the id of its newest materialisation."""
        materialisation = dg.DagsterEventType.ASSET_MATERIALIZATION
        newest = self._instance.get_latest_storage_id_by_partition(_asset(key), materialisation)
        return {partition: str(number) for partition, number in newest.items()}

    def newest(self, key: str) -> Materialization | None:
        """Return the newest materialisation, or None."""
        records = self._instance.fetch_materializations(_asset(key), limit=1).records
        return Materialization(records[0].storage_id, records[0].run_id, records[0].timestamp) if records else None

    def load(self, key: str, partition: str | None) -> Any:
        """Return the value of the asset, by its own IO manager."""
        if self._load is not None:
            return self._load(_asset(key), partition)
        with self._repository.get_asset_value_loader(instance=self._instance) as loader:
            return loader.load_asset_value(_asset(key), partition_key=partition)


def upstream_deps(source: Source | None) -> list[dg.AssetDep]:
    """Return the dependencies of an asset that reads a source: any of the partitions, whatever these are."""
    if source is None or source.asset_key is None:
        return []
    return [dg.AssetDep(_asset(source.asset_key), partition_mapping=dg.AllPartitionMapping())]


def in_sensor(source: Source, context: dg.SensorEvaluationContext) -> Source:
    """Return the source with access to the assets of the code location."""
    return source.within(ProjectAssets(context.instance, context.repository_def))


def read_batch(source: Source, batch: str, context: dg.AssetExecutionContext) -> pd.DataFrame:
    """Return all rows of a batch of any source.

    Raise `SourceError` if the batch is at fault, `SourceUnavailableError` if its source is: it should be tried again.
    """
    return read(_in_step(source, context), batch)


def read_rows(source: Source, batch: str, context: dg.AssetExecutionContext) -> pd.DataFrame | LargeFrame:
    """Read as `read_batch`; rows of files that do not fit into memory are read by column."""
    return reading.read_rows(_in_step(source, context), batch)


def _in_step(source: Source, context: dg.AssetExecutionContext) -> Source:
    """Return the source with access to the assets of the project, if it reads one."""
    if source.asset_key is None:
        return source

    def load(key: dg.AssetKey, partition: str | None) -> Any:
        return context.load_asset_value(key, partition_key=partition)

    return source.within(ProjectAssets(context.instance, None, load))


def _asset(key: str) -> dg.AssetKey:
    return dg.AssetKey(key.split("/"))
