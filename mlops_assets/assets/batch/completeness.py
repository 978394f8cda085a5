"""What remains to be done for a batch, by the records that the steps of its runs leave."""

from datetime import UTC, datetime

from mlops_assets.assets.shared.keys import BATCH_ASSETS
from mlops_assets.records.batches import BatchRecord
from mlops_assets.records.reports import BatchReport


def outstanding(
    record: BatchRecord,
    features_version: str,
    predictions: BatchReport | None,
    drift: BatchReport | None,
    performance: BatchReport | None,
    unseen: bool = False,
) -> tuple[str, ...]:
    """Return the assets of a batch that are still to be materialised, () if it is complete.

    A batch whose steps ran before there was a champion is complete without scores, unless it is `unseen`: newer than
    all that the current champion was trained and judged on. Scores and drift depend on rows and features. Labels that
    come later, or become known later, make new work for `performance` alone.
    """
    if record.status != "accepted":
        return ()
    if record.features is None:
        return BATCH_ASSETS
    if record.features_code != features_version and not record.excluded:
        return BATCH_ASSETS[1:]
    if predictions is None or predictions.content != record.content:
        return BATCH_ASSETS[2:]
    if predictions.model_version is None:
        return BATCH_ASSETS[2:] if unseen else ()
    steps = () if drift is not None and drift.content == record.content else ("drift",)
    if performance is None or performance.identity != record.identity or _is_past(performance.again_at):
        return (*steps, "performance")
    return steps


def _is_past(moment: str) -> bool:
    return bool(moment) and datetime.fromisoformat(moment) <= datetime.now(UTC)
