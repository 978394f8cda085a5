"""The database of records: whether it answers, its schema, and whether each record can be read."""

from collections.abc import Iterable, Iterator

from mlops_assets.cli.doctor.findings import Finding, fault, fine
from mlops_assets.errors import RecordsError
from mlops_assets.records.damaged import damaged_records
from mlops_assets.records.migrate import NEWEST
from mlops_assets.records.promotions import Promotion
from mlops_assets.records.typed import Damaged, store_of
from mlops_assets.resources.storage import Storage

_MOST = 5


def records(storage: Storage, models: Iterable[str]) -> Iterator[Finding]:
    """Yield the place of the database, its schema and this release's, and the damaged records of each model."""
    try:
        store = store_of(storage)
        schema = store.schema()
    except RecordsError as error:
        yield fault("records", str(error), "Nothing is on record without it: no step and no sensor runs.", "mend that")
        return
    known = f"schema {schema}" if schema else "no records yet"
    yield fine("records", f"{store.place}: {known}; this release writes schema {NEWEST}")
    sound = True
    for model in models:
        damaged = list(damaged_records(storage, model))
        sound = sound and not damaged
        for each in damaged[:_MOST]:
            more = f" (and {len(damaged) - _MOST} more of {model})" if len(damaged) > _MOST else ""
            name = f"record {model}/{each.kind}/{each.key}"
            yield fault(name, each.reason + more, _why(each), _mend(each))
    if sound and schema:
        yield fine("each record", "all records of all models can be read")


def _why(damaged: Damaged) -> str:
    if damaged.kind == Promotion.KIND:
        return "No decision is made and no batch is scored: a model is never taken for one without a champion."
    return "It is left out wherever records are read; all others count on."


def _mend(damaged: Damaged) -> str:
    if damaged.kind == Promotion.KIND:
        return "restore the database of records from a backup"
    return "restore the database from a backup, or materialise what the record is about again"
