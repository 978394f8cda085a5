"""Whether the registry answers, asked in a few seconds: a sensor must return while it is down."""

from mlops_assets.errors import RegistryError
from mlops_assets.resources.mlflow.registry import MlflowRegistry

_SECONDS = 3


def impatient(registry: MlflowRegistry) -> MlflowRegistry:
    """The same registry, asked once and for 3 seconds at most."""
    return registry.model_copy(update={"timeout_seconds": _SECONDS, "retries": 0})


def why_no_answer(registry: MlflowRegistry, model: str) -> str:
    """What is wrong with the registry, or "" where it answers."""
    try:
        impatient(registry).champion(model)
    except RegistryError as error:
        return str(error)
    return ""
