"""The latest version of each frame, and the I/O manager with which a user's own assets read and write frames."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import dagster as dg
from pydantic import Field, model_validator

from mlops_assets.disk_frame import LargeFrame
from mlops_assets.errors import MlopsAssetsError
from mlops_assets.lazy import pd
from mlops_assets.records.typed import Records
from mlops_assets.resources.storage.resource import Storage, check_storage
from mlops_assets.sources.data_version import data_version
from mlops_assets.text import listed

DATASET, FEATURES, PREDICTIONS = "dataset", "features", "predictions"
"""Kinds of frames, one for each batch: the last parts of the keys of the assets that write them."""
OUTCOMES, LABELS = "outcomes", "labels"
"""A batch of outcomes, and the labels that all outcomes give to a batch."""
UNPARTITIONED = "all"
"""The batch under which the frame of an asset without partitions is stored."""


@dataclass(frozen=True)
class LatestFrame:
    """The version of a frame that was written last."""

    KIND: ClassVar[str] = "frames"

    version: str


def keep_frame(
    storage: Storage, model: str, kind: str, batch: str, version: str, frame: "pd.DataFrame | LargeFrame"
) -> str:
    """Store a frame and make it the latest of its batch, for `BatchFiles`; return its path or URL."""
    if isinstance(frame, LargeFrame):
        place = storage.write_chunks(model, kind, batch, version, frame.chunks(), frame.typical_row())
    else:
        place = storage.write_frame(model, kind, batch, version, frame)
    _latest(storage, model, kind).put(batch, LatestFrame(version))
    return place


def latest_versions(storage: Storage, model: str, kind: str, batches: Iterable[str]) -> dict[str, str | None]:
    """Return the latest version of each batch, None for a batch without one."""
    frames = _latest(storage, model, kind).all()
    return {batch: frames[batch].version if batch in frames else None for batch in batches}


def _latest(storage: Storage, model: str, kind: str) -> Records[LatestFrame]:
    return Records(storage, model, LatestFrame, kind)


class BatchFiles(dg.ConfigurableIOManager):
    """Give your own assets the pack's assets (`<model>/dataset`, `<model>/predictions`, ...) as DataFrame arguments.

    It reads the latest version of each requested batch; an asset without partitions gets all batches, concatenated.
    A DataFrame that your asset returns is stored in the same way. `AssetIn(metadata={"columns": [...]})` reads only
    these columns.
    """

    root: str = Field(description="The same root as that of `Storage`.")
    database: str = Field(default="", description="The same database as that of `Storage`.")

    @model_validator(mode="after")
    def _check(self) -> "BatchFiles":
        check_storage(self.root, self.database)
        return self

    def load_input(self, context: dg.InputContext) -> "pd.DataFrame":
        model, kind = _model_and_kind(context.asset_key)
        storage = Storage(root=self.root, database=self.database)
        versions = latest_versions(storage, model, kind, _batches(context))
        absent = [batch for batch, version in versions.items() if version is None]
        if len(absent) == len(versions):
            raise MlopsAssetsError(
                f"{context.asset_key.to_user_string()} has no stored frame for {listed(absent) or 'any batch'} "
                f"under {self.root}: materialise it first"
            )
        if absent:  # a rejected batch has no dataset; the others must not wait for it
            context.log.warning(f"{context.asset_key.to_user_string()}: no frame stored for {listed(absent)}; left out")
        columns = (context.definition_metadata or {}).get("columns")
        frames = [
            storage.read_frame(model, kind, batch, version, columns)
            for batch, version in versions.items()
            if version is not None
        ]
        return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        if obj is None:
            return
        name = context.asset_key.to_user_string()
        if not isinstance(obj, pd.DataFrame):
            raise MlopsAssetsError(
                f"{name} returned a {type(obj).__name__}: BatchFiles stores DataFrames; "
                "give this asset another io_manager_key"
            )
        batches = _batches(context)
        if len(batches) != 1:
            raise MlopsAssetsError(f"{name} returned one frame for {len(batches)} partitions: run them one by one")
        model, kind = _model_and_kind(context.asset_key)
        version = data_version(obj)
        storage = Storage(root=self.root, database=self.database)
        place = keep_frame(storage, model, kind, batches[0], version, obj)
        context.add_output_metadata({"path": dg.MetadataValue.path(place), "dagster/row_count": len(obj)})


def _batches(context: dg.InputContext | dg.OutputContext) -> Sequence[str]:
    return context.asset_partition_keys if context.has_asset_partitions else [UNPARTITIONED]


def _model_and_kind(key: dg.AssetKey) -> tuple[str, str]:
    """Return the model and the kind of an asset key; dots join the parts before its last part."""
    return ".".join(key.path[:-1]) or "assets", key.path[-1]
