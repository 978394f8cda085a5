"""The database of records: whether it answers, its schema, and whether each record can be read."""

from collections.abc import Iterable, Iterator

from mlops_assets.cli.doctor.findings import Finding, advice, fault, fine
from mlops_assets.errors import RecordsError
from mlops_assets.records.damaged import damaged_records
from mlops_assets.records.migrate import NEWEST
from mlops_assets.records.promotions import Promotion
from mlops_assets.records.typed import store_of
from mlops_assets.resources.storage import Storage

_MOST = 5
_BACKUP = "end processes of a release of before, and back up the database"
_NO_DECISION = "No decision is made and no batch is scored: nobody knows whether the model has a champion."
_SKIPPED = "Whoever reads records skips this one; all other records count."


def records(storage: Storage, models: Iterable[str]) -> Iterator[Finding]:
    """Yield the place of the database, its schema and this release's, and the damaged records of each model."""
    try:
        store = store_of(storage)
        schema = store.schema()
        if schema == NEWEST:
            store.try_write()
    except RecordsError as error:
        yield fault(
            "records",
            str(error),
            "Nothing is on record without it: no step and no sensor runs.",
            "mend what it says",
        )
        return
    state = f"schema {schema}" if schema else "no records yet"
    place = f"{store.place}: {state}; this release writes schema {NEWEST}"
    if schema > NEWEST:
        mend = "install the release that wrote it, or a newer one, or put back a backup of before"
        yield fault("records", place, "No step and no sensor runs: this release would misread the records.", mend)
        return
    older = advice(
        "records", place, "The next write migrates it, and a release of before cannot read it then.", _BACKUP
    )
    yield older.unless(schema in {"", NEWEST}, place)
    damaged = {model: list(damaged_records(storage, model)) for model in models}
    for model, unreadable in damaged.items():
        more = f" (and {len(unreadable) - _MOST} more of {model})" if len(unreadable) > _MOST else ""
        for record in unreadable[:_MOST]:
            why, mend = _SKIPPED, "restore the database from a backup, or materialise what the record is about again"
            if record.kind == Promotion.KIND:
                why, mend = _NO_DECISION, "restore the database of records from a backup"
            yield fault(f"record {model}/{record.kind}/{record.key}", record.reason + more, why, mend)
    if schema and not any(damaged.values()):
        yield fine("each record", "all records of all models can be read")
