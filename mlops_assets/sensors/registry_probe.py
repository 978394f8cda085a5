"""Whether the registry answers within a few seconds: a sensor must return even while the registry is down."""

from mlops_assets.errors import RegistryError
from mlops_assets.resources.mlflow.registry import MlflowRegistry

PATIENCE = 3
"""Seconds that the registry has for one answer."""


def impatient(registry: MlflowRegistry) -> MlflowRegistry:
    """Return the registry with one attempt of at most 3 seconds for each request."""
    return registry.model_copy(update={"timeout_seconds": PATIENCE, "retries": 0})


class Probe:
    """Asks whether the registry answers, once a tick and only if a model needs it."""

    def __init__(self, registry: MlflowRegistry) -> None:
        self._registry = registry
        self._reason: str | None = None

    def why_no_answer(self, model: str) -> str:
        """Return why a run of a model would not reach the registry, "" if it would."""
        if self._reason is None:
            self._reason = why_no_answer(self._registry, model)
        return self._reason


def why_no_answer(registry: MlflowRegistry, model: str) -> str:
    """Return what is wrong with the registry, "" if it answers."""
    try:
        impatient(registry).champion(model)
    except RegistryError as error:
        return str(error)
    return ""
