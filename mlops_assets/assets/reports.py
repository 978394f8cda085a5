"""What `drift` and `performance` share: the rows of a batch, a check that knows nothing, and a page for people."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from mlops_assets.assets.metadata import link
from mlops_assets.checks import CheckOutcome
from mlops_assets.declaration import Declaration
from mlops_assets.resources.batch_ledger import BatchLedger
from mlops_assets.resources.mlflow_registry import MlflowRegistry
from mlops_assets.resources.model_version import ModelVersion
from mlops_assets.resources.storage import Storage
from mlops_assets.resources.training_rows import read_batch, time_order

if TYPE_CHECKING:
    import pandas as pd


class PageConfig(dg.Config):
    """What a person may ask for in the launchpad."""

    page: bool = Field(False, description="Let Evidently draw its page of this batch, whatever the decision.")


def batch_rows(model: Declaration, batch: str, storage: Storage) -> "tuple[pd.DataFrame, pd.Series]":
    """Features and target of a batch, in order of time where rows have one: rows near in time resemble each other."""
    record = BatchLedger(storage, model.name).accepted(batch)
    X, about = read_batch(storage, model, record.batch, str(record.version), str(record.features))
    order = time_order(about[model.time]) if model.time else slice(None)
    return X.iloc[order], about[model.target].iloc[order]


def unknown(name: str, message: str) -> CheckOutcome:
    """Not knowing is never a pass."""
    return CheckOutcome(name, False, message, severity="warn", blocking=False)


def with_page(
    model: Declaration,
    config: PageConfig,
    alarm: bool,
    champion: ModelVersion,
    name: str,
    draw: Callable[[], str],
    registry: MlflowRegistry,
) -> dict[str, Any]:
    """Draw Evidently's page if declared or asked for, keep it with the champion's MLflow run, and link it."""
    wanted = config.page or model.pages == "always" or (alarm and model.pages == "on_alarm")
    if not wanted:
        asked = "not drawn, as there is no alarm; materialise with `page: true` in the launchpad to have it"
        return {"page": dg.MetadataValue.md(asked)}
    registry.log_bytes(champion.run_id, name, draw().encode())
    return {"page": link(f"Evidently's page {name}", registry.artifact_url(champion.run_id, name))}
