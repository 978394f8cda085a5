"""The unreadable records of a model, for alerts, `doctor` and the commands; whoever reads records skips them."""

from collections.abc import Iterator
from typing import Any, get_args

from mlops_assets.records.alerts import AlertRecord
from mlops_assets.records.batches import BatchRecord, Excluded, Labelled
from mlops_assets.records.column_kinds import Kinds
from mlops_assets.records.outcomes import OutcomesRecord
from mlops_assets.records.promotions import Promotion
from mlops_assets.records.references import RecordedImportance
from mlops_assets.records.reports import BatchReport, ReportKind
from mlops_assets.records.requests import Hold, WaitingVersion
from mlops_assets.records.segment_watch import SegmentWatch, WatchKind
from mlops_assets.records.trainings import TrainingRecord
from mlops_assets.records.typed import Damaged, Records
from mlops_assets.records.versions import Registration
from mlops_assets.resources.storage import Storage

_RECORDS: tuple[type[Any], ...] = (
    *(Promotion, BatchRecord, Labelled, Excluded, OutcomesRecord, Kinds),
    *(Registration, TrainingRecord, RecordedImportance, Hold, WaitingVersion, AlertRecord),
)


def damaged_records(storage: Storage, model: str) -> Iterator[Damaged]:
    """Yield all records of a model that cannot be read."""
    for record in _RECORDS:
        yield from Records(storage, model, record).damaged()
    for kind in get_args(ReportKind):
        yield from Records(storage, model, BatchReport, kind).damaged()
    for watch in get_args(WatchKind):
        yield from Records(storage, model, SegmentWatch, watch).damaged()
