"""Records of a model that cannot be read, for alerts, `doctor` and the commands: each is skipped where it is used."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mlops_assets.errors import DamagedRecordError
from mlops_assets.resources.alert_ledger import AlertRecord
from mlops_assets.resources.batch_ledger import BatchRecord, Excluded, Labelled
from mlops_assets.resources.batch_reports import BatchReport
from mlops_assets.resources.champion_record import champion_record
from mlops_assets.resources.labels import OutcomesRecord
from mlops_assets.resources.records import sorted_out
from mlops_assets.resources.storage import Storage
from mlops_assets.resources.training_ledger import TrainingRecord

CHAMPION = "champion.json"

_KINDS: tuple[tuple[type[Any], tuple[str, ...]], ...] = (
    (BatchRecord, ("batches",)),
    (Labelled, ("labelled",)),
    (Excluded, ("excluded",)),
    (OutcomesRecord, ("outcomes_batches",)),
    (TrainingRecord, ("trainings",)),
    (BatchReport, ("reports", "predictions")),
    (BatchReport, ("reports", "drift")),
    (BatchReport, ("reports", "performance")),
    (AlertRecord, ("alerts",)),
)


@dataclass(frozen=True)
class Damaged:
    """A record that cannot be read: its file as a path below the model's folder, and a sentence with the reason."""

    file: str
    reason: str


def damaged_records(storage: Storage, model: str) -> Iterator[Damaged]:
    """All records of a model that cannot be read."""
    try:
        champion_record(storage, model)
    except DamagedRecordError as error:
        yield Damaged(CHAMPION, str(error))
    for kind, folder in _KINDS:
        withdrawn = storage.list_json(model, *folder) if kind is Excluded else {}
        for name, reason in sorted_out(storage, kind, model, *folder)[1].items():
            if name not in withdrawn or withdrawn[name] is not None:  # null: the batch was taken back in
                yield Damaged("/".join((*folder, f"{name}.json")), reason)
