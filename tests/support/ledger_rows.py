"""Rows of the database of records, as tests write, spoil and read them beneath the ledgers."""

import json
from typing import Any

import sqlalchemy as sa

from mlops_assets.records.frames import latest_versions
from mlops_assets.records.promotions import PromotionLedger
from mlops_assets.records.store import RecordStore
from mlops_assets.records.tables import RECORDS
from mlops_assets.records.typed import store_of
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.storage import Storage


def value_of(storage: Storage, model: str, kind: str, key: str) -> Any:
    """The plain JSON of a record, None where there is none."""
    row = store_of(storage).get(model, kind, key)
    return None if row is None or row.value is None else json.loads(row.value)


def put_value(storage: Storage, model: str, kind: str, key: str, value: Any) -> None:
    """Write plain JSON as a record, whatever its shape; None withdraws it."""
    store_of(storage).put(model, kind, key, value)


def spoil(storage: Storage, model: str, kind: str, key: str, text: str = "{") -> None:
    """Make a text of a record that is not one; as a new revision, so that it is seen."""
    store: RecordStore = store_of(storage)
    put_value(storage, model, kind, key, {"about": "to be spoilt"})
    this = (RECORDS.c.model == model) & (RECORDS.c.kind == kind) & (RECORDS.c.key == key)
    with store._engine.connect().execution_options(immediate=True) as connection, connection.begin():
        connection.execute(sa.update(RECORDS).where(this).values(value=text))


def promote(
    storage: Storage,
    version: ModelVersion,
    *,
    how: str = "evidence",
    by: str = "mlops_assets",
    reason: str = "better",
    run_id: str = "",
) -> None:
    """Put a promotion on record that was done, as if its run had gone well."""
    ledger = PromotionLedger(storage, version.model)
    number = ledger.last_number()
    ledger.intend(
        version,
        judged_against=number,
        how=how,
        by=by,
        reason=reason,
        dagster_run_id=run_id,
        evidence="",
        compared_with=None,
        run_is_over=str,
    )
    ledger.finish(number + 1)


def champion_version(storage: Storage, model: str) -> int | None:
    """The version that is champion by the promotions on record."""
    champion = PromotionLedger(storage, model).champion()
    return None if champion is None else champion.version


def latest(storage: Storage, model: str, kind: str, batch: str) -> str | None:
    """The version of a frame that was written last."""
    return latest_versions(storage, model, kind, [batch])[batch]
