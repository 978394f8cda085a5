"""Looks at artifacts of a server or an object store, whose clients may wait for minutes: no tick waits for them."""

from mlops_assets.assets.promotion.registry_state import Finding, artifact_finding
from mlops_assets.background_call import BackgroundCall
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry

_PATIENCE = 5.0
_UNDER_WAY: dict[str, BackgroundCall[Finding]] = {}
"""By digest: at most one look at a version's artifact at a time in this process."""


def finding_soon(registry: MlflowRegistry, version: ModelVersion) -> Finding | None:
    """Return the finding on a version's remote artifact, None if the look takes more than a few seconds.

    Such a look goes on in its thread, and a later call returns its finding, or raises its error, without waiting.
    """
    look, patience = _UNDER_WAY.get(version.digest), 0.0
    if look is None:
        look = _UNDER_WAY[version.digest] = BackgroundCall(lambda: artifact_finding(registry, version))
        patience = _PATIENCE
    if not look.ended(patience):
        return None
    del _UNDER_WAY[version.digest]
    return look.result()
