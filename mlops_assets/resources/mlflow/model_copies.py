"""Copies of a server's models on this machine, by digest: each file of a model costs a request, and never changes."""

from __future__ import annotations

import logging
import os
import re
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from mlops_assets.errors import ArtifactError
from mlops_assets.resources.mlflow.model_files import verify_digest

_MOST_BYTES = 2_000_000_000
_IN_USE_SECONDS = 3_600
"""A copy that was read within this time is left: another process may be loading it."""

_LOG = logging.getLogger("mlops_assets")


class ModelCopies:
    """A folder with a copy of each model, named by its digest; the models read last stay, up to 2 GB.

    A copy vouches for nothing: whoever reads one verifies its digest, as with a download. Only this user may have
    access to the folder, since files could be changed between verification and loading. A failure of this folder costs
    a download and nothing else.
    """

    def __init__(self, folder: str | None) -> None:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        self._folder = Path(folder) if folder else Path(cache, "mlops_assets", "models")

    def get(self, digest: str) -> Path | None:
        """Return the folder of a verified copy, None if there is none; a damaged copy is deleted."""
        if not re.fullmatch(r"[0-9a-f]{64}", digest):  # the digest is the name of a folder
            return None
        copy = self._folder / digest
        try:
            if not copy.is_dir() or not self._is_private():
                return None
            verify_digest(copy, digest)
            os.utime(copy)
        except (ArtifactError, OSError) as error:
            _LOG.warning(f"a copy of a model is not used: {error}")
            shutil.rmtree(copy, ignore_errors=True)
            return None
        return copy

    def keep(self, model: Path, digest: str) -> None:
        """Copy a verified model folder, whole or not at all."""
        if not re.fullmatch(r"[0-9a-f]{64}", digest) or (self._folder / digest).exists():
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._is_private():
                _LOG.warning(f"{self._folder} is open to other users, so no models are kept there: chmod 700 it")
                return
            with tempfile.TemporaryDirectory(dir=self._folder, prefix=".new-") as temporary:
                copy = shutil.copytree(model, Path(temporary, digest))
                with suppress(FileExistsError):  # another process was faster
                    copy.rename(self._folder / digest)
            self._make_room()
        except OSError as error:
            _LOG.warning(f"a model is not kept in {self._folder}, so it is fetched anew each time: {error}")

    def _is_private(self) -> bool:
        status = self._folder.lstat()
        return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077

    def _make_room(self) -> None:
        copies = sorted((path for path in self._folder.iterdir()), key=lambda path: path.stat().st_mtime, reverse=True)
        total = 0
        for copy in copies:
            total += sum(file.stat().st_size for file in copy.rglob("*") if file.is_file())
            if total > _MOST_BYTES and time.time() - copy.stat().st_mtime > _IN_USE_SECONDS:
                shutil.rmtree(copy, ignore_errors=True)
