"""Looks at artifacts of a server or an object store, whose clients may wait for minutes: no tick waits for them."""

import threading
from collections.abc import Callable

from mlops_assets.assets.promotion.registry_state import Finding, artifact_finding
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry

_PATIENCE = 5.0
_UNDER_WAY: dict[str, "_Look"] = {}
"""By digest: at most one look at a version's artifact at a time in this process."""


def finding_soon(registry: MlflowRegistry, version: ModelVersion) -> Finding | None:
    """Return the finding on a version's remote artifact, None if the look takes more than a few seconds.

    Such a look goes on in its thread, and a later call returns its finding, or raises its error, without waiting.
    """
    look = _UNDER_WAY.get(version.digest)
    if look is None:
        look = _UNDER_WAY[version.digest] = _Look(lambda: artifact_finding(registry, version))
        look.wait(_PATIENCE)
    if not look.ended:
        return None
    del _UNDER_WAY[version.digest]
    return look.finding()


class _Look:
    """A call in a thread that ends with the process."""

    def __init__(self, call: Callable[[], Finding]) -> None:
        self._call = call
        self._finding: Finding | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="look at a remote artifact")
        self._thread.start()

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def wait(self, seconds: float) -> None:
        self._thread.join(seconds)

    def finding(self) -> Finding:
        """Return what the call returned, or raise what it raised."""
        if self._finding is None:
            raise self._error or AssertionError("the look has not ended")
        return self._finding

    def _run(self) -> None:
        try:
            self._finding = self._call()
        except Exception as error:  # raised again where the finding is asked for
            self._error = error
