"""What became of each batch of outcomes: labels that come later than their rows."""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

from mlops_assets.records.typed import Records
from mlops_assets.resources.storage import Storage
from mlops_assets.text import natural_order

State = tuple[tuple[str, str], ...]
"""(batch, version) of all accepted batches of outcomes, in natural order: labels are made from these."""


@dataclass(frozen=True)
class OutcomesRecord:
    """The newest record of one batch of outcomes.

    `mark` is the batch's mark when it was read. It is empty until the labels of the rows are up to date, so that a
    run that dies before then is requested again.
    """

    KIND: ClassVar[str] = "outcomes"

    batch: str
    status: Literal["accepted", "rejected"]
    run_id: str
    _: KW_ONLY
    version: str | None = None
    rows: int = 0
    mark: str = ""
    reasons: tuple[str, ...] = ()


class OutcomesLedger:
    """The records of one model's batches of outcomes."""

    def __init__(self, storage: Storage, model: str) -> None:
        self._outcomes = Records(storage, model, OutcomesRecord)

    def put(self, record: OutcomesRecord) -> None:
        """Record what became of a batch; its earlier record is replaced."""
        self._outcomes.put(record.batch, record)

    def get(self, batch: str) -> OutcomesRecord | None:
        """Return the record of a batch, None if there is none."""
        return self._outcomes.get(batch)

    def marks(self) -> dict[str, str]:
        """Return the recorded mark of each batch, rejected batches too."""
        return {batch: record.mark for batch, record in self._outcomes.all().items()}

    def state(self) -> State:
        """Return the batches of outcomes that labels are made from now."""
        accepted = [record for record in self._outcomes.all().values() if record.status == "accepted"]
        accepted.sort(key=lambda record: natural_order(record.batch))
        return tuple((record.batch, str(record.version)) for record in accepted)
