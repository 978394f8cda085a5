"""Make the store of a moved or copied home name the declared folder of artifacts."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from mlops_assets.errors import RegistryError
from mlops_assets.records.promotions import Promotion, PromotionLedger
from mlops_assets.resources.mlflow.artifact_places import artifact_location, elsewhere
from mlops_assets.resources.mlflow.calls import local_folder
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage

REHOMED = "mlops_assets.rehomed"
"""Tag of an experiment: who changed the place of its artifacts, when, why, and the earlier place."""

_RUNS = "SELECT run_uuid, artifact_uri FROM runs WHERE experiment_id = ?"
_VERSIONS = "SELECT version, run_id, source FROM model_versions WHERE name = ?"
_EXPERIMENTS = "SELECT experiment_id, artifact_location FROM experiments WHERE name = ?"
_MODEL = "/{}/artifacts/model"  # below the experiment's location, formatted with the run's id


@dataclass(frozen=True, kw_only=True)
class Move:
    """The runs and versions of one model that name another folder than the declared one.

    runs: id -> new URI of the run's artifacts; versions: number -> new URI of the version's model. left_behind: folders
    that exist at the earlier place and not at the declared place.
    """

    model: str
    experiment: str
    before: Path
    location: str
    runs: dict[str, str]
    versions: dict[int, str]
    left_behind: tuple[Path, ...] = field(default=())

    @property
    def after(self) -> Path:
        """The declared folder of the model's artifacts."""
        folder = local_folder(self.location)
        assert folder is not None, "only folders are declared for a move"
        return folder


def misplaced_models(registry: MlflowRegistry, models: Iterable[str]) -> list[Move]:
    """Return a move for each model whose artifacts lie outside the declared folder; empty if no folder is declared."""
    if registry.artifact_folder is None:
        return []
    with _store(registry, "ro") as store:
        return list(_moves(store, registry, models))


def rehome(registry: MlflowRegistry, storage: Storage, models: Iterable[str], by: str, reason: str) -> list[Move]:
    """Write the declared folder into the store, in one transaction, and into the records of champions. Idempotent.

    Files are not moved. Raise `RegistryError`, and change nothing, if some files are not at the declared place.
    """
    if registry.artifact_folder is None:
        return []
    with _store(registry, "rw") as store:
        store.execute("BEGIN IMMEDIATE")
        moves = list(_moves(store, registry, models))
        if behind := [folder for move in moves for folder in move.left_behind]:
            raise RegistryError(
                f"{len(behind)} folders were not brought along, such as {behind[0]}: copy them below "
                f"{registry.artifact_folder} first"
            )
        for move in moves:
            _mend(store, move, by, reason)
            _mend_record(storage, move, registry.artifact_folder)
        store.execute("COMMIT")  # last, so that another attempt mends everything after a crash
    return moves


def _moves(store: sqlite3.Connection, registry: MlflowRegistry, models: Iterable[str]) -> Iterator[Move]:
    declared = registry.artifact_folder
    for model in models:
        location = artifact_location(str(registry.artifact_root), model)
        for experiment, place in store.execute(_EXPERIMENTS, (model,)).fetchall():
            runs = [(run, uri) for run, uri in store.execute(_RUNS, (experiment,)) if elsewhere(declared, uri)]
            versions = {
                int(number): f"{location}{_MODEL.format(run)}"
                for number, run, source in store.execute(_VERSIONS, (model,))
                if elsewhere(declared, source or "") and source.endswith(_MODEL.format(run))
            }
            folders = (elsewhere(declared, uri) for uri in (place, *(uri for _, uri in runs)))
            before = next((folder for folder in folders if folder), None)
            if before is not None:
                mended = {run: f"{location}/{run}/artifacts" for run, _ in runs}
                behind = tuple(folder for run, uri in runs if (folder := _left_behind(uri, mended[run])))
                yield Move(
                    model=model,
                    experiment=str(experiment),
                    before=before,
                    location=location,
                    runs=mended,
                    versions=versions,
                    left_behind=behind,
                )


def _left_behind(uri: str, new: str) -> Path | None:
    before, after = local_folder(uri), local_folder(new)
    return before if before is not None and after is not None and before.exists() and not after.exists() else None


def _mend(store: sqlite3.Connection, move: Move, by: str, reason: str) -> None:
    store.execute(
        "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", (move.location, move.experiment)
    )
    store.executemany("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", [(b, a) for a, b in move.runs.items()])
    store.executemany(
        "UPDATE model_versions SET source = ?, storage_location = ? WHERE name = ? AND version = ?",
        [(source, source, move.model, number) for number, source in move.versions.items()],
    )
    noted = {
        "by": by,
        "reason": reason,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "from": str(move.before),
    }
    store.execute(
        "INSERT OR REPLACE INTO experiment_tags (key, value, experiment_id) VALUES (?, ?, ?)",
        (REHOMED, json.dumps(noted), move.experiment),
    )


def _mend_record(storage: Storage, move: Move, declared: Path) -> None:
    """Mend the records of promotions: they name artifacts too, and outlive their versions in the registry."""

    def mended(promotion: Promotion) -> str:
        moved = f"{move.location}{_MODEL.format(promotion.run_id)}"
        return moved if elsewhere(declared, promotion.source) else promotion.source

    PromotionLedger(storage, move.model).mend_sources(mended)


@contextmanager
def _store(registry: MlflowRegistry, mode: str) -> Iterator[sqlite3.Connection]:
    """Open MLflow's SQLite file to read (ro) or to write (rw); the file is never created."""
    path = Path(registry.address.partition(":///")[2])
    try:
        store = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode={mode}", uri=True, timeout=30)
        store.isolation_level = None  # this module begins transactions itself
        try:
            yield store
        finally:
            store.close()
    except sqlite3.Error as error:
        raise RegistryError(
            f"MLflow's store {path} cannot be used: {error}. Is it that of the declared home?"
        ) from error
