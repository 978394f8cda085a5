"""What became of each training: which data and declaration, which version came of it, what was decided on it."""

from dataclasses import dataclass, replace
from typing import Literal

from mlops_assets.records.typed import Records
from mlops_assets.resources.storage import Storage

Status = Literal["fitted", "slow", "refused", "judged"]


@dataclass(frozen=True)
class TrainingRecord:
    """One training of a model, by what was trained: a data version and a declaration version.

    `fitted` is registered and not judged yet: a run that died there is carried on with. `slow` failed the gate
    `latency` alone, which a later attempt measures again. `refused` did not pass another gate, `judged` was compared;
    both are final for this data and declaration. `at` is UTC, ISO 8601; `number` is given by the ledger and counts up,
    since a clock may be set back.
    """

    data_version: str
    declaration_version: str
    status: Status
    run_id: str
    at: str
    version: int | None = None
    verdict: str = ""
    reason: str = ""
    trigger: str = ""
    number: int = 0

    @property
    def final(self) -> bool:
        """Whether the same data and declaration would end the same way."""
        return self.status in ("refused", "judged")


class TrainingLedger:
    """The records of one model's trainings; it outlives Dagster's runs and MLflow's versions."""

    def __init__(self, storage: Storage, model: str) -> None:
        self._trainings = Records(storage, model, "trainings", TrainingRecord)

    def put(self, record: TrainingRecord) -> None:
        """Record what became of a training in place of what was recorded of the same data and declaration."""
        with self._trainings.writing() as writing:
            if not record.number:
                numbers = (each.number for each in writing.sound().values())
                record = replace(record, number=1 + max(numbers, default=0))
            writing.put(f"{record.data_version}-{record.declaration_version}", record)

    def get(self, data_version: str, declaration_version: str) -> TrainingRecord | None:
        """Return the record of one training, None where none came as far."""
        return self._trainings.get(f"{data_version}-{declaration_version}")

    def all(self) -> list[TrainingRecord]:
        """Return all trainings, the newest first."""
        found = self._trainings.all().values()
        return sorted(found, key=lambda record: (record.number, record.at), reverse=True)
