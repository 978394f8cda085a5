"""A storage of temporary files above another storage, so that a reproduction writes nothing where batches are kept."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pydantic import PrivateAttr

from mlops_assets.resources.storage import Storage


class Overlay(Storage):
    """A storage in a temporary folder that reads the frames of some kinds from another storage.

    Rows are cached by the storage that they were read from: through an overlay they are read afresh.
    """

    _original: Storage = PrivateAttr()
    _kinds: frozenset[str] = PrivateAttr()

    @classmethod
    def above(cls, original: Storage, folder: Path, kinds: Collection[str]) -> Overlay:
        """Return an overlay whose own frames are kept in `folder`."""
        overlay = cls(root=str(folder))
        overlay._original, overlay._kinds = original, frozenset(kinds)
        return overlay

    def frame_place(self, model: str, kind: str, batch: str, version: str) -> str:
        """Return the path or URL of a frame, of the original storage for a kind that is read there."""
        if kind in self._kinds:
            return self._original.frame_place(model, kind, batch, version)
        return super().frame_place(model, kind, batch, version)
