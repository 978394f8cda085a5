"""Databases: the schema of Dagster's, and whether the role of a `Table` may do more than SELECT."""

from collections.abc import Iterable, Iterator

import dagster as dg

from mlops_assets.cli.doctor.findings import Finding, advice, fault, fine
from mlops_assets.declaration import Declaration
from mlops_assets.errors import SourceUnavailableError
from mlops_assets.resources.schema_revisions import compared, newest_revision
from mlops_assets.text import shown

_WHY = (
    "A query runs in a transaction that only reads, but a function with effects (dblink_exec, lo_from_bytea) acts "
    "within one SELECT all the same, with all that the role may do."
)
_MEND = "connect as a role that may only SELECT: CREATE ROLE reader LOGIN PASSWORD '...'; GRANT SELECT ON ... TO reader"


def roles(models: Iterable[Declaration]) -> Iterator[Finding]:
    """Check the role of each table or query on PostgreSQL from which a model reads rows or outcomes."""
    sources = (source for model in models for source in (model.source, model.outcomes) if source is not None)
    tables = {(source.database, source.title): source for source in sources if source.database is not None}
    for table in tables.values():
        name = f"role of {table.title}"
        try:
            rights = table.excess_rights()
        except SourceUnavailableError as error:
            yield advice(name, str(error), "Whether the role may do more than SELECT is not known.")
        else:
            excess = advice(name, f"the role {', '.join(shown(right)[1:-1] for right in rights[:8])}", _WHY, _MEND)
            yield excess.unless(not rights, "nothing beyond SELECT was found")


def schema_of_dagster(instance: dg.DagsterInstance) -> Iterator[Finding]:
    """Compare the schema of each of Dagster's databases with the schema of the Dagster that is installed."""
    storages = {
        "runs": instance.run_storage,
        "events": instance.event_log_storage,
        "schedules": instance.schedule_storage,
    }
    found = {name: storage and storage.alembic_version() for name, storage in storages.items()}
    stored = {name: str(pair[0]) for name, pair in found.items() if pair and pair[0]}  # none where all is in memory
    states = {name: compared(revision, "dagster") for name, revision in stored.items()}
    here = f"Dagster {dg.__version__}, installed here, has {newest_revision('dagster')}"
    for name in [name for name, state in states.items() if state == "newer"]:
        why = "Runs and events may be misread or lost: this Dagster does not know the tables."
        mend = "install the version that migrated it, or put back the database of before"
        yield fault(f"Dagster's schema of {name}", f"{stored[name]}, which a newer Dagster made; {here}", why, mend)
    for name in [name for name, state in states.items() if state == "older"]:
        why = "What newer releases added works slowly or not at all until it is migrated."
        mend = "end all of Dagster's processes, back up its databases, run `dagster instance migrate`"
        yield advice(f"Dagster's schema of {name}", f"{stored[name]}; {here}", why, mend)
    if states and set(states.values()) == {"equal"}:
        yield fine("Dagster's schema", f"{newest_revision('dagster')}, as installed here")
