"""What became of each training: which data and declaration, which version came of it, what was decided on it."""

from dataclasses import asdict, dataclass, replace
from typing import Literal

from mlops_assets.resources.records import all_records, one_record
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
    """The records of one model's trainings, one small file each; it outlives Dagster's runs and MLflow's versions."""

    def __init__(self, storage: Storage, model: str) -> None:
        self._storage = storage
        self._model = model

    def put(self, record: TrainingRecord) -> None:
        """Record what became of a training; what was recorded of the same data and declaration is replaced."""
        name = f"{record.data_version}-{record.declaration_version}"
        if not record.number:
            record = replace(record, number=1 + max((each.number for each in self.all()), default=0))
        self._storage.write_json(self._model, "trainings", name, value=asdict(record))

    def get(self, data_version: str, declaration_version: str) -> TrainingRecord | None:
        """The record of one training, or None when there was none that came as far."""
        name = f"{data_version}-{declaration_version}"
        return one_record(self._storage, TrainingRecord, self._model, "trainings", name)

    def all(self) -> list[TrainingRecord]:
        """All trainings, the newest first."""
        trainings = all_records(self._storage, TrainingRecord, self._model, "trainings").values()
        return sorted(trainings, key=lambda record: (record.number, record.at), reverse=True)
