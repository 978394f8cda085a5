"""Where the trials of a search and other independent fits run: local processes, or the workers of a Dask scheduler."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec

import dagster as dg
from pydantic import Field, model_validator

from mlops_assets.errors import DeclarationError, EngineError
from mlops_assets.modelling.engine import Engine, Processes, WithFallback, local

VARIABLE = "MLOPS_ASSETS_DASK"


class Compute(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The engine of models that declare `Search(workers=...)`; results are the same on each.

    With a scheduler, all its workers must have the packages of the run and the code of the project.
    """

    scheduler: str = Field(
        default="",
        description="Address of a Dask scheduler, such as tcp://host:8786, or `$NAME`, an environment variable with "
        "it; else $MLOPS_ASSETS_DASK. Without either, local processes.",
    )
    fallback: bool = Field(
        default=True,
        description="Whether a run goes on in local processes, with a warning, if the engine does not answer; else it "
        "fails.",
    )
    wait_seconds: int = Field(
        default=30, ge=1, description="Seconds after which a scheduler without an answer, or without workers, is away."
    )
    backend: str = Field(
        default="loky", description="Backend of joblib in place of local processes: 'ray', or one that is registered."
    )

    @model_validator(mode="after")
    def _dask_is_installed(self) -> Compute:
        if (self.scheduler or os.environ.get(VARIABLE)) and find_spec("distributed") is None:
            raise DeclarationError(
                "Compute: a Dask scheduler is named and Dask is not installed: pip install 'mlops-assets[dask]'"
            )
        return self

    @property
    def address(self) -> str:
        """Return the address of the scheduler; empty without one."""
        name = self.scheduler.removeprefix("$") if self.scheduler.startswith("$") else ""
        if name and not os.environ.get(name):
            raise DeclarationError(f"Compute: the environment variable {name}, which `scheduler` names, is not set")
        return os.environ[name] if name else self.scheduler or os.environ.get(VARIABLE, "")

    @contextmanager
    def engine(self, workers: int, warn: Callable[[str], None]) -> Iterator[Engine]:
        """Yield an engine that runs at most `workers` tasks at once: 0 for this process, -1 for as many as it can.

        `warn` is called with the reason if the engine does not answer and another one takes over.
        """
        here = local(workers)
        with ExitStack() as stack:
            try:
                elsewhere = self._elsewhere(workers, stack)
            except EngineError as error:
                if not self.fallback:
                    raise
                warn(f"{error}; all tasks run on the host of the run")
                elsewhere = None
            if elsewhere is not None and self.fallback:
                yield WithFallback(elsewhere, here, warn)
            else:
                yield elsewhere or here

    def _elsewhere(self, workers: int, stack: ExitStack) -> Engine | None:
        """Return the declared engine other than local processes; None if there is none."""
        if workers == 0:
            return None
        address = self.address
        if address:
            from mlops_assets.resources.dask_engine import dask_engine

            return stack.enter_context(dask_engine(address, workers, self.wait_seconds))
        if self.backend == "loky":
            return None
        if self.backend == "ray":
            _register_ray()
        return Processes(workers, self.backend)


def _register_ray() -> None:
    """Tell joblib of Ray's backend, whose cluster the environment variable RAY_ADDRESS names."""
    try:
        from ray.util.joblib import register_ray
    except ImportError as error:
        raise DeclarationError("Compute: the backend 'ray' needs Ray: pip install ray") from error
    register_ray()
