"""What became of each training: its data and declaration, its version, and the decision on that version."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Literal

from mlops_assets.records.typed import Records
from mlops_assets.resources.storage import Storage

Status = Literal["fitted", "slow", "refused", "judged"]


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """One training of a model, identified by a data version and a declaration version.

    `fitted`: registered, not judged yet; a later run goes on from there if the run died. `slow`: only the gate
    `latency` failed, which a later attempt measures again. `refused`: another gate failed. `judged`: compared. The
    last two are final for this data and declaration. `sample` says of which rows the version was fitted and judged on a
    sample, "" for all; it is part of the data version. `at` is UTC, ISO 8601. The ledger gives `number`, which counts
    up, since a clock may be set back.
    """

    KIND: ClassVar[str] = "trainings"

    data_version: str
    declaration_version: str
    status: Status
    run_id: str
    at: str
    version: int | None = None
    verdict: str = ""
    reason: str = ""
    trigger: str = ""
    sample: str = ""
    number: int = 0

    @property
    def moment(self) -> datetime:
        """When the training was recorded."""
        return datetime.fromisoformat(self.at)

    @property
    def final(self) -> bool:
        """Whether a training of the same data and declaration would end the same way."""
        return self.status in ("refused", "judged")


class TrainingLedger:
    """The records of one model's trainings; they outlive Dagster's runs and MLflow's versions."""

    def __init__(self, storage: Storage, model: str) -> None:
        self._trainings = Records(storage, model, TrainingRecord)

    def put(self, record: TrainingRecord) -> None:
        """Record what became of a training; an earlier record of the same data and declaration is replaced."""
        with self._trainings.writing() as writing:
            if not record.number:
                numbers = (training.number for training in writing.sound().values())
                record = replace(record, number=1 + max(numbers, default=0))
            writing.put(f"{record.data_version}-{record.declaration_version}", record)

    def get(self, data_version: str, declaration_version: str) -> TrainingRecord | None:
        """Return the record of one training, None if there is none."""
        return self._trainings.get(f"{data_version}-{declaration_version}")

    def all(self) -> list[TrainingRecord]:
        """Return all trainings, the newest first."""
        trainings = self._trainings.all().values()
        return sorted(trainings, key=lambda record: (record.number, record.at), reverse=True)
