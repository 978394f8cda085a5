"""Files under one root, each named by its content and written once: Parquet frames, and documents in JSON."""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import dagster as dg
from pydantic import Field

from mlops_assets.errors import DamagedRecordError, MlopsAssetsError
from mlops_assets.lazy import np, pa, pd

_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")
_COLUMNS_AT_ONCE = 50


class Storage(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Frames at `<root>/<model>/<kind>/<batch>/<version>.parquet`, each written once; nothing is ever deleted.

    What changes is kept in the database of records, which the field `database` names.

    Every part of a path must match `[A-Za-z0-9._-]+` and be neither `.` nor `..`. Anything else raises
    `MlopsAssetsError`, so that nothing is read or written outside `root`.
    """

    root: str = Field(description="Folder that holds the files; made when first written to.")
    database: str = Field(
        default="",
        description="URL of the database of records (SQLite or PostgreSQL), or `$NAME`, an environment variable with "
        "it; else SQLite in a file `records.db` in the folder.",
    )

    def write_frame(self, model: str, kind: str, batch: str, version: str, frame: pd.DataFrame) -> Path:
        """Store `frame` (without its index) as `version` of the batch; return its path.

        An existing version is left unchanged: versions name content. Raise `MlopsAssetsError` that names the columns
        if Parquet cannot hold the frame, or if the disk fails; no partial file is left behind.
        """
        path = self.frame_path(model, kind, batch, version)
        if not path.exists():
            _write_whole(path, _parquet_writer(frame, path))
        return path

    def has_frame(self, model: str, kind: str, batch: str, version: str) -> bool:
        """Return whether this frame is stored."""
        return self.frame_path(model, kind, batch, version).is_file()

    def read_frame(
        self,
        model: str,
        kind: str,
        batch: str,
        version: str,
        columns: Sequence[str] | None = None,
        rows: np.ndarray | None = None,
    ) -> pd.DataFrame:
        """Return the stored frame, or its `columns` and the rows at positions `rows`, in that order, newly numbered.

        With `rows`, a few columns are read at a time, so that a frame larger than memory can be read.
        """
        path = self.frame_path(model, kind, batch, version)
        if not path.is_file():
            raise MlopsAssetsError(
                f"{kind} of batch {batch!r} of {model}, version {version!r}, is not stored at {path}: "
                f"materialise {model}/{kind} for that batch"
            )
        try:
            with pa.parquet.ParquetFile(path) as file:
                missing = sorted(set(columns or ()) - set(file.schema_arrow.names))
                if missing:
                    raise MlopsAssetsError(f"{path} has no column {missing}: it has {file.schema_arrow.names[:50]}")
                frame = _read(file, None if columns is None else list(columns), rows)
        except (pa.ArrowException, OSError) as error:
            raise MlopsAssetsError(f"{path} cannot be read ({str(error)[:200]}): materialise it again") from error
        return frame if columns is None else frame[list(columns)]

    def frame_path(self, model: str, kind: str, batch: str, version: str) -> Path:
        """Return the path of such a frame."""
        return self._path(model, kind, batch, f"{_checked(version)}.parquet")

    def write_document(self, model: str, kind: str, version: str, value: Any) -> Path:
        """Store a plain JSON value as `<root>/<model>/<kind>/<version>.json`; return its path.

        An existing version is left unchanged: versions name content.
        """
        path = self.document_path(model, kind, version)
        try:
            content = json.dumps(value, indent=2).encode()
        except (TypeError, ValueError) as error:
            raise MlopsAssetsError(f"{path}: not a plain JSON value ({error})") from error
        if not path.exists():
            _write_whole(path, lambda file: file.write(content))
        return path

    def read_document(self, model: str, kind: str, version: str) -> Any:
        """Return the stored value, None if there is none; raise `DamagedRecordError` if it is damaged."""
        path = self.document_path(model, kind, version)
        try:
            return json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError, PermissionError, IsADirectoryError) as error:
            raise DamagedRecordError(f"{path} cannot be read as JSON ({error}): mend or remove it") from error
        except OSError as error:  # the disk rather than the document
            raise MlopsAssetsError(f"{path} cannot be read ({error}): look at the disk") from error

    def document_path(self, model: str, kind: str, version: str) -> Path:
        """Return the path of such a document."""
        return self._path(model, kind, f"{_checked(version)}.json")

    def _path(self, *parts: str) -> Path:
        return Path(self.root).joinpath(*map(_checked, parts))


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise MlopsAssetsError(
            f"{name[:80]!r} cannot be part of a path: expected 1 to 200 letters, digits, '.', '_', '-', not '..'"
        )
    return name


def _parquet_writer(frame: pd.DataFrame, path: Path) -> Callable[[IO[bytes]], object]:
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, ValueError, TypeError) as error:
        mixed = {name: kinds for name, kinds in _types_of_objects(frame).items() if len(kinds) > 1}
        fault = f"columns of mixed types {str(mixed)[:300]}" if mixed else str(error)[:200]
        raise MlopsAssetsError(
            f"{path} cannot be written as parquet: {fault}. Give each column one name and one type"
        ) from error
    return lambda file: pa.parquet.write_table(table, file)


def _read(file: pa.parquet.ParquetFile, columns: list[str] | None, rows: np.ndarray | None) -> pd.DataFrame:
    if rows is None:
        whole: pd.DataFrame = file.read(columns=columns).to_pandas()
        return whole
    names = columns or file.schema_arrow.names
    parts = [names[first : first + _COLUMNS_AT_ONCE] for first in range(0, max(len(names), 1), _COLUMNS_AT_ONCE)]
    frame: pd.DataFrame = pd.concat([file.read(columns=part).take(rows).to_pandas() for part in parts], axis=1)
    return frame


def _types_of_objects(frame: pd.DataFrame) -> dict[str, list[str]]:
    objects = [(str(name)[:80], column.dropna()) for name, column in frame.items() if column.dtype == object]
    return {name: sorted({type(value).__name__ for value in column}) for name, column in objects}


def _write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file beside `path`, sync it to disk, and move it into place in one step."""
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
        with suppress(OSError):  # where nothing can be written no file is left behind, and the first error counts
            temporary.unlink(missing_ok=True)
