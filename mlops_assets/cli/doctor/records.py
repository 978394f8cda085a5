"""The records in storage: whether each can be read."""

from collections.abc import Iterable, Iterator

from mlops_assets.cli.doctor.findings import Finding, fault, fine
from mlops_assets.resources.damaged_records import CHAMPION, damaged_records
from mlops_assets.resources.storage import Storage

_MOST = 5


def records(root: str, models: Iterable[str]) -> Iterator[Finding]:
    """Records that are cut or misshaped, by model."""
    storage, sound = Storage(root=root), True
    for model in models:
        damaged = list(damaged_records(storage, model))
        sound = sound and not damaged
        for each in damaged[:_MOST]:
            more = f" (and {len(damaged) - _MOST} more of {model})" if len(damaged) > _MOST else ""
            yield fault(f"record {model}/{each.file}", each.reason + more, _why(each.file), _mend(each.file))
    if sound:
        yield fine("records", "all records of all models can be read")


def _why(file: str) -> str:
    if file == CHAMPION:
        return "No decision is made and no batch is scored: a model is never taken for one without a champion."
    return "It is left out wherever records are read; all others count on."


def _mend(file: str) -> str:
    if file == CHAMPION:
        return "restore the file, or remove it where the alias in the registry names the right version"
    return "restore the file, or remove it: what it tells is worked out anew where its source is still there"
