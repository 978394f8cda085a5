"""The databases that models read: whether the role of a `Table` may do more than SELECT."""

from collections.abc import Iterable, Iterator

from mlops_assets.cli.doctor.findings import Finding, advice
from mlops_assets.declaration import Declaration
from mlops_assets.errors import SourceUnavailableError
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
