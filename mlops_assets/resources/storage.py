"""Parquet files of batches and small JSON records under one root, written whole or not at all."""

import fcntl
import json
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from mlops_assets.errors import DamagedRecordError, MlopsAssetsError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow.parquet as pq

UNPARTITIONED = "all"
"""The batch under which the frame of an asset without partitions is stored."""

_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")
_LATEST = "latest"
_SETTLED_NS = 100_000_000
_COLUMNS_AT_ONCE = 50
_LISTED: dict[Path, tuple[int, dict[str, Any]]] = {}


class Storage(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Frames at `<root>/<model>/<kind>/<batch>/<version>.parquet`, each written once; nothing is ever deleted.

    Every part of a path must match `[A-Za-z0-9._-]+` and be neither `.` nor `..`: anything else is refused with
    `MlopsAssetsError`, so that nothing is read or written outside `root`.
    """

    root: str = Field(description="Folder that holds the files; made when first written to.")

    def write_frame(self, model: str, kind: str, batch: str, version: str, frame: "pd.DataFrame") -> Path:
        """Store `frame` (without its index) as `version` of the batch and make it the latest; return its path.

        A version that exists is left as it is: versions name content. Raises `MlopsAssetsError` for a frame that
        parquet cannot hold, naming the columns, and when the disk refuses; no partial file is left behind.
        """
        path = self._frame(model, kind, batch, version)
        if not path.exists():
            _write_whole(path, _parquet_writer(frame, path))
        if self.latest_version(model, kind, batch) != version:
            self.write_json(model, kind, batch, _LATEST, value={"version": version})
        return path

    def has_frame(self, model: str, kind: str, batch: str, version: str) -> bool:
        """Whether there is such a frame."""
        return self._frame(model, kind, batch, version).is_file()

    def read_frame(
        self,
        model: str,
        kind: str,
        batch: str,
        version: str,
        columns: Sequence[str] | None = None,
        rows: "np.ndarray | None" = None,
    ) -> "pd.DataFrame":
        """The stored frame, or only its `columns` and the rows at the positions `rows`, in that order, newly numbered.

        With `rows`, a few columns are read at a time, so that a frame larger than memory can be looked at.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self._frame(model, kind, batch, version)
        if not path.is_file():
            raise MlopsAssetsError(
                f"{kind} of batch {batch!r} of {model}, version {version!r}, is not stored at {path}: "
                f"materialise {model}/{kind} for that batch"
            )
        try:
            with pq.ParquetFile(path) as file:
                missing = sorted(set(columns or ()) - set(file.schema_arrow.names))
                if missing:
                    raise MlopsAssetsError(f"{path} has no column {missing}: it has {file.schema_arrow.names[:50]}")
                frame = _read(file, None if columns is None else list(columns), rows)
        except (pa.ArrowException, OSError) as error:
            raise MlopsAssetsError(f"{path} cannot be read ({str(error)[:200]}): materialise it again") from error
        return frame if columns is None else frame[list(columns)]

    def frame_path(self, model: str, kind: str, batch: str, version: str) -> Path:
        """Where such a frame is stored."""
        return self._frame(model, kind, batch, version)

    def latest_version(self, model: str, kind: str, batch: str) -> str | None:
        """The version of a batch that was written last, or None if there is none."""
        pointer = self.read_json(model, kind, batch, _LATEST)
        return None if pointer is None else str(pointer["version"])

    def write_json(self, model: str, *parts: str, value: Any) -> Path:
        """Store a plain JSON value at `<root>/<model>/<parts>.json`, replacing what was there; return its path."""
        path = self._path(model, *parts)
        try:
            content = json.dumps(value, indent=2).encode()
        except (TypeError, ValueError) as error:
            raise MlopsAssetsError(f"{path}: not a plain JSON value ({error})") from error
        _write_whole(path, lambda file: file.write(content))
        return path

    def read_json(self, model: str, *parts: str) -> Any:
        """The value stored there, or None if there is none."""
        path = self._path(model, *parts)
        try:
            return json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError, PermissionError, IsADirectoryError) as error:
            raise DamagedRecordError(f"{path} cannot be read as JSON ({error}): mend or remove it") from error
        except OSError as error:  # the disk rather than the record
            raise MlopsAssetsError(f"{path} cannot be read ({error}): look at the disk") from error

    def list_json(self, model: str, *folder: str) -> dict[str, Any]:
        """The values stored directly in a folder, by name, in order of name; empty if there is no such folder.

        A folder that has not changed since is not read again: sensors look at thousands of records every few seconds.
        Do not write into the values. What cannot be read as JSON is left out and told by `unreadable`.
        """
        return self._listed(model, *folder)[0]

    def unreadable(self, model: str, *folder: str) -> dict[str, str]:
        """The records directly in a folder that are not JSON, with the reason."""
        return self._listed(model, *folder)[1]

    def path_of(self, model: str, *parts: str) -> Path:
        """The file of a record."""
        return self._path(model, *parts)

    def _listed(self, model: str, *folder: str) -> tuple[dict[str, Any], dict[str, str]]:
        path = self._path(model, *folder, suffix="")
        now, changed = time.time_ns(), path.stat().st_mtime_ns if path.is_dir() else 0
        if path in _LISTED and _LISTED[path][0] == changed:
            return _LISTED[path][1], {}
        found: dict[str, Any] = {}
        damaged: dict[str, str] = {}
        for name in sorted(file.stem for file in path.glob("*.json")) if changed else []:
            try:
                found[name] = self.read_json(model, *folder, name)
            except DamagedRecordError as error:  # one record stops no other
                damaged[name] = str(error)
        # A later change within one tick of the file system's clock would not show, nor would a record mended in place.
        if not damaged and now - changed > _SETTLED_NS:
            _LISTED[path] = (changed, found)
        return found, damaged

    @contextmanager
    def locked(self, model: str, *parts: str) -> Iterator[None]:
        """Hold a record against other processes that lock it too, for as long as it takes to read and write it."""
        path = self._path(model, *parts, suffix=".lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("ab")
        except OSError as error:
            raise MlopsAssetsError(
                f"{path} cannot be written: {error.strerror or error}. Look at space and rights"
            ) from error
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)  # the system frees it when the process dies
            yield

    def changed(self, model: str, *parts: str) -> int:
        """When a record, or anything directly in a folder, was last written, in ns since 1970; 0 if there is none."""
        for suffix in (".json", ""):
            path = self._path(model, *parts, suffix=suffix)
            if path.exists():
                return path.stat().st_mtime_ns
        return 0

    def _frame(self, model: str, kind: str, batch: str, version: str) -> Path:
        return self._path(model, kind, batch, suffix="") / f"{_checked(version)}.parquet"

    def _path(self, *parts: str, suffix: str = ".json") -> Path:
        if len(parts) < 2:
            raise MlopsAssetsError(f"storage needs a model and at least one more name, got {parts}")
        *folders, name = (_checked(part) for part in parts)
        return Path(self.root).joinpath(*folders, name + suffix)


class BatchFiles(dg.ConfigurableIOManager):
    """Lets an asset of yours take ours as an argument (`<model>/dataset`, `<model>/predictions`, ...), as a DataFrame.

    It reads the latest version of each batch asked for; an asset without partitions gets all batches, concatenated.
    A DataFrame that your asset returns is stored in the same way. `AssetIn(metadata={"columns": [...]})` reads only
    these columns.
    """

    root: str = Field(description="The same folder as that of `Storage`.")

    def load_input(self, context: dg.InputContext) -> "pd.DataFrame":
        import pandas as pd

        model, kind = _model_and_kind(context.asset_key)
        storage = Storage(root=self.root)
        batches = context.asset_partition_keys if context.has_asset_partitions else [UNPARTITIONED]
        versions = {batch: storage.latest_version(model, kind, batch) for batch in batches}
        absent = [batch for batch, version in versions.items() if version is None]
        if len(absent) == len(versions):
            raise MlopsAssetsError(
                f"{context.asset_key.to_user_string()} has no stored frame for {_some(absent) or 'any batch'} "
                f"under {self.root}: materialise it first"
            )
        if absent:  # a rejected batch has no dataset; the others must not wait for it
            context.log.warning(f"{context.asset_key.to_user_string()}: no frame stored for {_some(absent)}; left out")
        columns = (context.definition_metadata or {}).get("columns")
        frames = [
            storage.read_frame(model, kind, batch, version, columns)
            for batch, version in versions.items()
            if version is not None
        ]
        return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        import pandas as pd

        from mlops_assets.sources.data_version import data_version

        if obj is None:
            return
        name = context.asset_key.to_user_string()
        if not isinstance(obj, pd.DataFrame):
            raise MlopsAssetsError(
                f"{name} returned a {type(obj).__name__}: BatchFiles stores DataFrames; "
                "give this asset another io_manager_key"
            )
        batches = context.asset_partition_keys if context.has_asset_partitions else [UNPARTITIONED]
        if len(batches) != 1:
            raise MlopsAssetsError(f"{name} returned one frame for {len(batches)} partitions: run them one by one")
        model, kind = _model_and_kind(context.asset_key)
        version = data_version(obj)
        path = Storage(root=self.root).write_frame(model, kind, batches[0], version, obj)
        context.add_output_metadata({"path": dg.MetadataValue.path(path), "dagster/row_count": len(obj)})


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise MlopsAssetsError(
            f"{name[:80]!r} cannot be part of a path: expected 1 to 200 letters, digits, '.', '_', '-', not '..'"
        )
    return name


def _some(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:80]) for name in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _model_and_kind(key: dg.AssetKey) -> tuple[str, str]:
    """The two folders of an asset key; what comes before its last part is joined by dots."""
    return ".".join(key.path[:-1]) or "assets", key.path[-1]


def _parquet_writer(frame: "pd.DataFrame", path: Path) -> Callable[[IO[bytes]], object]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, ValueError, TypeError) as error:
        mixed = {name: kinds for name, kinds in _types_of_objects(frame).items() if len(kinds) > 1}
        found = f"columns of mixed types {str(mixed)[:300]}" if mixed else str(error)[:200]
        raise MlopsAssetsError(
            f"{path} cannot be written as parquet: {found}. Give each column one name and one type"
        ) from error
    return lambda file: pq.write_table(table, file)


def _read(file: "pq.ParquetFile", columns: list[str] | None, rows: "np.ndarray | None") -> "pd.DataFrame":
    import pandas as pd

    frame: pd.DataFrame
    if rows is None:
        frame = file.read(columns=columns).to_pandas()
        return frame
    names = columns or file.schema_arrow.names
    parts = [names[first : first + _COLUMNS_AT_ONCE] for first in range(0, max(len(names), 1), _COLUMNS_AT_ONCE)]
    frame = pd.concat([file.read(columns=part).take(rows).to_pandas() for part in parts], axis=1)
    return frame


def _types_of_objects(frame: "pd.DataFrame") -> dict[str, list[str]]:
    objects = [(str(name)[:80], column.dropna()) for name, column in frame.items() if column.dtype == object]
    return {name: sorted({type(value).__name__ for value in column}) for name, column in objects}


def _write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file beside `path`, make it durable, and put it in place in one step."""
    temporary = path.parent / f".{uuid.uuid4().hex}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise MlopsAssetsError(
            f"{path} cannot be written: {error.strerror or error}. Look at space and rights"
        ) from error
    finally:
        with suppress(OSError):  # where nothing can be written, nothing was left behind, and the first error counts
            temporary.unlink(missing_ok=True)
