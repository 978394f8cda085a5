"""Dagster's own SQLite storage without what it does over and over: a third of the time of a run in a test."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def keep_engines(patch: pytest.MonkeyPatch) -> None:
    """Dagster makes an engine for each event, which compiles each statement anew; as they hold no connection, one does.

    Only names that this process looks up are patched: code servers and daemons in tests run as users run them.
    """
    from dagster._core.storage.event_log.sqlite import sqlite_event_log
    from dagster._core.storage.runs.sqlite import sqlite_run_storage

    for module in (sqlite_event_log, sqlite_run_storage):
        patch.setattr(module, "create_engine", _kept(module.create_engine))


def copy_event_logs(patch: pytest.MonkeyPatch, template: Path) -> None:
    """Each run has a database of its own, whose tables take longer to make than a small run's events to write."""
    from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

    make = SqliteEventLogStorage._initdb

    def copied(storage: Any, engine: Any, for_index_shard: bool = False) -> None:
        path = Path(engine.url.database)
        if not for_index_shard and template.exists() and not path.exists():
            shutil.copy(template, path)
            return
        make(storage, engine, for_index_shard)
        if not (for_index_shard or template.exists() or path.with_name(f"{path.name}-wal").exists()):
            shutil.copy(path, template)

    patch.setattr(SqliteEventLogStorage, "_initdb", copied)


def _kept(create_engine: Callable[..., Any]) -> Callable[..., Any]:
    engines: dict[str, Any] = {}

    def kept(url: str, **options: Any) -> Any:
        if url not in engines:
            engines[url] = create_engine(url, **options)
        return engines[url]

    return kept
