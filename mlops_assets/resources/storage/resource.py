"""The storage of a code location: Parquet frames, and documents in JSON, in a folder or an object store."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import dagster as dg
from pydantic import Field, model_validator

from mlops_assets.disk_frame import ROWS_AT_ONCE
from mlops_assets.errors import DamagedRecordError, DeclarationError, MlopsAssetsError
from mlops_assets.file_systems import check_place, is_local
from mlops_assets.lazy import np, pd
from mlops_assets.resources.storage import files, frames

DATABASE_VARIABLE = "MLOPS_ASSETS_DATABASE"
"""The environment variable with the URL of the database of records."""

_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")


class Storage(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Frames at `<root>/<model>/<kind>/<batch>/<version>.parquet`, each written once; nothing is ever deleted.

    What changes is kept in the database of records, which the field `database` names. A root on an object store
    requires such a database; its credentials and its endpoint come from the store's own environment variables.

    Every part of a path must match `[A-Za-z0-9._-]+` and be neither `.` nor `..`. Anything else raises
    `MlopsAssetsError`, so that nothing is read or written outside `root`. `StorageError` means that the store does
    not answer: whether something is stored is then not known.
    """

    root: str = Field(
        description="Folder that holds the files, made when first written to; or s3://bucket/folder, "
        "gs://bucket/folder, abfs://container/folder."
    )
    database: str = Field(
        default="",
        description="URL of the database of records (SQLite or PostgreSQL), or `$NAME`, an environment variable with "
        "it; else SQLite in a file `records.db` in the folder; on an object store, else $MLOPS_ASSETS_DATABASE.",
    )

    @model_validator(mode="after")
    def _check(self) -> Storage:
        check_storage(self.root, self.database)
        return self

    def write_frame(self, model: str, kind: str, batch: str, version: str, frame: pd.DataFrame) -> str:
        """Store `frame` (without its index) as `version` of the batch; return its path or URL.

        An existing version is left unchanged: versions name content. A truncated one is written again. Raise
        `MlopsAssetsError` that names the columns if Parquet cannot hold the frame, `StorageError` if the disk or the
        store fails; no partial file is left behind.
        """
        place = self.frame_place(model, kind, batch, version)
        if not frames.is_whole(place):
            files.write_whole(place, frames.writer_of(frame, place))
        return place

    def write_chunks(
        self,
        model: str,
        kind: str,
        batch: str,
        version: str,
        chunks: Iterable[pd.DataFrame],
        like: pd.DataFrame | None = None,
    ) -> str:
        """Store a frame that comes in chunks of rows, as `write_frame`; one chunk is in memory at a time.

        The first chunk, which may have no rows, or else `like`, gives names and types of the columns; a chunk that does
        not fit raises `MlopsAssetsError`, and nothing is stored. The chunks are not read if the version exists.
        """
        place = self.frame_place(model, kind, batch, version)
        if not frames.is_whole(place):
            files.write_whole(place, frames.chunk_writer(chunks, place, like))
        return place

    def has_frame(self, model: str, kind: str, batch: str, version: str) -> bool:
        """Return whether this frame is stored; raise `StorageError` if the store does not answer."""
        return files.exists(self.frame_place(model, kind, batch, version))

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
        try:
            return frames.read(self.frame_place(model, kind, batch, version), columns, rows)
        except FileNotFoundError:
            raise self._not_stored(model, kind, batch, version) from None

    def frame_chunks(
        self,
        model: str,
        kind: str,
        batch: str,
        version: str,
        columns: Sequence[str] | None = None,
        rows_at_once: int = ROWS_AT_ONCE,
    ) -> Iterator[pd.DataFrame]:
        """Yield the stored frame in order, at most `rows_at_once` rows at a time, newly numbered in each chunk.

        Each chunk has the types of the whole frame. An empty frame is one chunk without rows.
        """
        try:
            yield from frames.read_chunks(self.frame_place(model, kind, batch, version), columns, rows_at_once)
        except FileNotFoundError:
            raise self._not_stored(model, kind, batch, version) from None

    def frame_size(self, model: str, kind: str, batch: str, version: str) -> frames.FrameSize:
        """Return rows, columns and size in memory of a stored frame, without reading its rows."""
        try:
            return frames.size_of(self.frame_place(model, kind, batch, version))
        except FileNotFoundError:
            raise self._not_stored(model, kind, batch, version) from None

    def frame_place(self, model: str, kind: str, batch: str, version: str) -> str:
        """Return the path or URL of such a frame."""
        return self._place(model, kind, batch, f"{_checked(version)}.parquet")

    def write_document(self, model: str, kind: str, version: str, value: Any) -> str:
        """Store a plain JSON value as `<root>/<model>/<kind>/<version>.json`; return its path or URL.

        An existing version is left unchanged: versions name content.
        """
        place = self.document_place(model, kind, version)
        try:
            content = json.dumps(value, indent=2).encode()
        except (TypeError, ValueError) as error:
            raise MlopsAssetsError(f"{place}: not a plain JSON value ({error})") from error
        if not files.exists(place):
            files.write_whole(place, lambda file: file.write(content))
        return place

    def read_document(self, model: str, kind: str, version: str) -> Any:
        """Return the stored value, None if there is none; raise `DamagedRecordError` if it is damaged."""
        place = self.document_place(model, kind, version)
        try:
            return json.loads(files.read_bytes(place))
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError, PermissionError, IsADirectoryError) as error:
            raise DamagedRecordError(f"{place} cannot be read as JSON ({error}): mend or remove it") from error
        except OSError as error:  # the disk rather than the document
            raise MlopsAssetsError(f"{place} cannot be read ({error}): look at the disk") from error

    def document_place(self, model: str, kind: str, version: str) -> str:
        """Return the path or URL of such a document."""
        return self._place(model, kind, f"{_checked(version)}.json")

    def _place(self, *parts: str) -> str:
        return files.join(self.root, *map(_checked, parts))

    def _not_stored(self, model: str, kind: str, batch: str, version: str) -> MlopsAssetsError:
        return MlopsAssetsError(
            f"{kind} of batch {batch!r} of {model}, version {version!r}, is not stored at "
            f"{self.frame_place(model, kind, batch, version)}: materialise {model}/{kind} for that batch"
        )


def check_storage(root: str, database: str) -> None:
    """Raise `MlopsAssetsError` if files cannot be kept at a root, or if there is no database for its records.

    No server is contacted. A value that Dagster reads from the environment later (`EnvVar`) is checked then.
    """
    if isinstance(root, dg.EnvVar):
        return
    check_place(root)
    if not is_local(root) and not database and not os.environ.get(DATABASE_VARIABLE, "").strip():
        raise DeclarationError(
            f"the storage {root} is on an object store, and records need a database beside it: set the environment "
            f"variable {DATABASE_VARIABLE} to postgresql://user:password@host/name, or the field `database` to "
            "`$NAME`, an environment variable with that URL"
        )


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise MlopsAssetsError(
            f"{name[:80]!r} cannot be part of a path: expected 1 to 200 letters, digits, '.', '_', '-', not '..'"
        )
    return name
