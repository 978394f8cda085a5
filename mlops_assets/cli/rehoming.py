"""Make the store of a moved or copied home name the declared folder of artifacts."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from mlops_assets.errors import RegistryError
from mlops_assets.records.promotions import Promotion, PromotionLedger
from mlops_assets.resources.mlflow.artifact_places import artifact_location, elsewhere
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage

REHOMED = "mlops_assets.rehomed"
"""Tag of an experiment: who changed the place of its artifacts, when, why, and the earlier place."""

_RUNS = "SELECT run_uuid, artifact_uri FROM runs WHERE experiment_id = ?"
_VERSIONS = "SELECT version, run_id, source FROM model_versions WHERE name = ?"
_EXPERIMENTS = "SELECT experiment_id, artifact_location FROM experiments WHERE name = ?"
_SET_EXPERIMENT = "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?"
_SET_RUN = "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?"
_SET_VERSION = "UPDATE model_versions SET source = ?, storage_location = ? WHERE name = ? AND version = ?"
_SET_TAG = "INSERT OR REPLACE INTO experiment_tags (key, value, experiment_id) VALUES (?, ?, ?)"
_MODEL = "/{}/artifacts/model"  # below the experiment's location, formatted with the run's id


@dataclass(frozen=True, kw_only=True)
class Move:
    """The runs and versions of one model that name another folder, `before`, than the declared one, `after`.

    location: the URI of `after`. runs: id -> new URI of the run's artifacts; versions: number -> new URI of the
    version's model. left_behind: folders that exist at the earlier place and not at the declared place.
    """

    model: str
    experiment: str
    before: Path
    after: Path
    location: str
    runs: dict[str, str]
    versions: dict[int, str]
    left_behind: tuple[Path, ...]


def misplaced_models(registry: MlflowRegistry, models: Iterable[str]) -> list[Move]:
    """Return a move for each model whose artifacts lie outside the declared folder; empty if no folder is declared."""
    if registry.artifact_folder is None:
        return []
    with _store(registry, "ro") as store:
        return list(_moves(store, registry.artifact_folder, models))


def rehome(registry: MlflowRegistry, storage: Storage, models: Iterable[str], by: str, reason: str) -> list[Move]:
    """Write the declared folder into the store, in one transaction, and into the records of champions. Idempotent.

    Files are not moved. Raise `RegistryError`, and change nothing, if some files are not at the declared place.
    """
    declared = registry.artifact_folder
    if declared is None:
        return []
    with _store(registry, "rw") as store:
        store.execute("BEGIN IMMEDIATE")
        moves = list(_moves(store, declared, models))
        if behind := [folder for move in moves for folder in move.left_behind]:
            raise RegistryError(
                f"{len(behind)} folders were not brought along, such as {behind[0]}: copy them below {declared} first"
            )
        for move in moves:
            _mend(store, move, by, reason)
            _mend_record(storage, move, declared)
        store.execute("COMMIT")  # last, so that another attempt mends everything after a crash
    return moves


def _moves(store: sqlite3.Connection, declared: Path, models: Iterable[str]) -> Iterator[Move]:
    for model in models:
        location, after = artifact_location(str(declared), model), declared / model
        for experiment, place in store.execute(_EXPERIMENTS, (model,)).fetchall():
            uris = dict(store.execute(_RUNS, (experiment,)))
            runs = {run: folder for run, uri in uris.items() if (folder := elsewhere(declared, uri))}
            before = elsewhere(declared, place) or next(iter(runs.values()), None)
            if before is None:
                continue
            versions = {
                int(number): f"{location}{_MODEL.format(run)}"
                for number, run, source in store.execute(_VERSIONS, (model,))
                if elsewhere(declared, source or "") and source.endswith(_MODEL.format(run))
            }
            new = {run: after / run / "artifacts" for run in runs}
            behind = (folder for run, folder in runs.items() if folder.exists() and not new[run].exists())
            yield Move(
                model=model,
                experiment=str(experiment),
                before=before,
                after=after,
                location=location,
                runs={run: f"{location}/{run}/artifacts" for run in runs},
                versions=versions,
                left_behind=tuple(behind),
            )


def _mend(store: sqlite3.Connection, move: Move, by: str, reason: str) -> None:
    store.execute(_SET_EXPERIMENT, (move.location, move.experiment))
    store.executemany(_SET_RUN, [(uri, run) for run, uri in move.runs.items()])
    store.executemany(_SET_VERSION, [(uri, uri, move.model, number) for number, uri in move.versions.items()])
    at = datetime.now(UTC).isoformat(timespec="seconds")
    tag = json.dumps({"by": by, "reason": reason, "at": at, "from": str(move.before)})
    store.execute(_SET_TAG, (REHOMED, tag, move.experiment))


def _mend_record(storage: Storage, move: Move, declared: Path) -> None:
    """Mend the records of promotions: they name artifacts too, and outlive their versions in the registry."""

    def source(promotion: Promotion) -> str:
        outside = elsewhere(declared, promotion.source)
        return f"{move.location}{_MODEL.format(promotion.run_id)}" if outside else promotion.source

    PromotionLedger(storage, move.model).mend_sources(source)


@contextmanager
def _store(registry: MlflowRegistry, mode: str) -> Iterator[sqlite3.Connection]:
    """Open MLflow's SQLite file to read (ro) or to write (rw); the file is never created."""
    path = Path(registry.address.partition(":///")[2]).absolute()
    try:
        uri = f"file:{quote(str(path))}?mode={mode}"
        # no isolation level: this module begins transactions itself
        with closing(sqlite3.connect(uri, uri=True, timeout=30, isolation_level=None)) as store:
            yield store
    except sqlite3.Error as error:
        raise RegistryError(
            f"MLflow's store {path} cannot be used: {error}. Is it the store of the declared home?"
        ) from error
