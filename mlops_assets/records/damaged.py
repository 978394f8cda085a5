"""The unreadable records of a model, for alerts, `doctor` and the commands; whoever reads records skips them."""

from collections.abc import Iterator
from typing import Any

from mlops_assets.records.alerts import AlertRecord
from mlops_assets.records.batches import BatchRecord, Excluded, Labelled
from mlops_assets.records.column_kinds import Kinds
from mlops_assets.records.outcomes import OutcomesRecord
from mlops_assets.records.promotions import KIND, Promotion
from mlops_assets.records.reports import BatchReport
from mlops_assets.records.trainings import TrainingRecord
from mlops_assets.records.typed import Damaged, Records
from mlops_assets.records.versions import Registration
from mlops_assets.resources.storage import Storage

_KINDS: dict[str, type[Any]] = {
    KIND: Promotion,
    "batches": BatchRecord,
    "labelled": Labelled,
    "excluded": Excluded,
    "outcomes": OutcomesRecord,
    "column_kinds": Kinds,
    "registrations": Registration,
    "trainings": TrainingRecord,
    "reports/predictions": BatchReport,
    "reports/drift": BatchReport,
    "reports/performance": BatchReport,
    "alerts": AlertRecord,
}


def damaged_records(storage: Storage, model: str) -> Iterator[Damaged]:
    """Yield all records of a model that cannot be read."""
    for kind, of in _KINDS.items():
        yield from Records(storage, model, kind, of).damaged()
