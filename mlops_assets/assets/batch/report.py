"""What the reports on a batch share: the record of the result, an "unknown" check, a page."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from pydantic import Field

from mlops_assets.assets.shared.drawing import drawn
from mlops_assets.assets.shared.metadata import link
from mlops_assets.checks import CheckOutcome
from mlops_assets.declaration import Declaration
from mlops_assets.records.batches import BatchRecord
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.reports import BatchReport, ReportKind
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry


class PageConfig(dg.Config):
    """What a person may ask for in the launchpad."""

    page: bool = Field(False, description="Let Evidently draw its page of this batch, whatever the decision.")


def record_report(
    context: dg.AssetExecutionContext,
    records: ModelRecords,
    kind: ReportKind,
    record: BatchRecord,
    champion_version: int | None,
    verdict: str,
    reason: str,
    figures: Mapping[str, float] | None = None,
    again_at: str = "",
) -> None:
    """Record a step's result for a batch; call it before the step yields its materialisation.

    `record` is the one that the step read its rows by. `champion_version` is None if there is no champion. The sensor
    `new_data` requests a batch until its reports match its record: a run killed before this call is repeated, and one
    killed after it has lost nothing.
    """
    report = BatchReport(
        batch=record.batch,
        identity=record.identity,
        model_version=champion_version,
        verdict=verdict,
        reason=reason,
        run_id=context.run.run_id,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        figures={name: float(figure) for name, figure in (figures or {}).items()},
        again_at=again_at,
    )
    records.reports.put(kind, report)


def no_champion(context: dg.AssetExecutionContext, records: ModelRecords, kind: ReportKind, record: BatchRecord) -> str:
    """Record that there is no champion yet to score or judge a batch; return the reason."""
    reason = f"{records.name} has no champion yet: batch {record.batch!r} is not scored"
    context.log.info(reason)
    record_report(context, records, kind, record, None, "no champion", reason)
    return reason


def unknown(name: str, message: str) -> CheckOutcome:
    """Return a failed check that warns: an unknown result is never a pass."""
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
    """Draw Evidently's page if declared or asked for, store it with the champion's MLflow run, and link it.

    Call it after the records are written.
    """
    if not (config.page or model.pages == "always" or (alarm and model.pages == "on_alarm")):
        why = "`pages` is `never`" if model.pages == "never" else "there is no alarm"
        text = f"not drawn, as {why}; materialise with `page: true` in the launchpad to have it"
        return {"page": dg.MetadataValue.md(text)}

    def page_link() -> dg.MarkdownMetadataValue:
        registry.log_bytes(champion.run_id, name, draw().encode())
        return link(f"Evidently's page {name}", registry.artifact_url(champion.run_id, name))

    return drawn("page", page_link)
