"""Labelled rows of a manifest, read from the stored batches."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from mlops_assets.declaration import Declaration
from mlops_assets.errors import TrainingError
from mlops_assets.resources.storage import Storage

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mlops_assets.modelling.manifest import Manifest
    from mlops_assets.modelling.splits import BatchInfo


@dataclass(frozen=True)
class Rows:
    """n labelled rows in order of time. `X` (n, features), `y` (n,), `batch` (n,) the ordinal of each row's batch,
    `about` (n, time + key + slices) what identifies them."""

    X: "pd.DataFrame"
    y: "pd.Series"
    batch: "np.ndarray"
    about: "pd.DataFrame"

    def time(self, name: str | None) -> "pd.Series | None":
        """The rows' time, where the model declares one."""
        return self.about[name] if name else None


def read_manifest(storage: Storage, model: str, version: str) -> "Manifest":
    """A recorded training set; `TrainingError` where its record is gone."""
    from mlops_assets.modelling.manifest import Manifest

    values = storage.read_json(model, "training_set", version)
    if values is None:
        raise TrainingError(
            f"{model}: training set {version} is not recorded in {storage.root}: materialise training_set"
        )
    return Manifest.from_dict(values)


def read_rows(storage: Storage, model: Declaration, batches: "tuple[BatchInfo, ...]") -> Rows:
    """The labelled rows of these batches, at the versions that the manifest names.

    The steps of a run share what was read last, since a stored version never changes: do not write into the result.
    """
    return _rows(storage.root, model.name, model.target, model.time, _about(model), batches)


def read_batch(
    storage: Storage, model: Declaration, batch: str, version: str, features: str
) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Features of all rows of a batch, and its target, time, key and slice columns, row by row."""
    X = storage.read_frame(model.name, "features", batch, features)
    return X, storage.read_frame(model.name, "dataset", batch, version, _about(model))


def time_order(times: "pd.Series", batch: "np.ndarray | None" = None) -> "np.ndarray":
    """Positions (n,) that bring rows into order of time, within their batches where the ordinals of those are given.

    Rows of one moment have no order. That of a file is often by label or by place, which the block bootstrap would
    take for rows that hang together and the baseline "previous" for knowledge: they are shuffled, always alike.
    """
    import numpy as np

    shuffled = np.random.default_rng(0).permutation(len(times))
    return np.lexsort((shuffled, times.to_numpy(), *(() if batch is None else (batch,))))


def _about(model: Declaration) -> tuple[str, ...]:
    """The columns of a dataset that identify a row and say what came of it."""
    return tuple(dict.fromkeys([model.target, *([model.time] if model.time else []), *model.key, *model.slices]))


@lru_cache(maxsize=4)
def _rows(
    root: str, model: str, target: str, time: str | None, columns: tuple[str, ...], batches: "tuple[BatchInfo, ...]"
) -> Rows:
    import numpy as np
    import pandas as pd

    storage, versions = Storage(root=root), [batch.version.split("-") for batch in batches]
    named = list(zip(batches, versions, strict=True))
    features = [storage.read_frame(model, "features", batch.key, version) for batch, (_, version, *_) in named]
    datasets = [storage.read_frame(model, "dataset", batch.key, version, columns) for batch, (version, *_) in named]
    X, about = (pd.concat(frames, ignore_index=True) for frames in (features, datasets))
    ordinal = np.repeat(np.arange(len(batches)), [len(frame) for frame in features])
    labelled = about[target].notna().to_numpy()
    X, about, ordinal = X[labelled], about[labelled], ordinal[labelled]
    if time:  # batches may touch; folds need batch ordinals that never decrease, so time orders within a batch
        order = time_order(about[time], ordinal)
        X, about, ordinal = X.iloc[order], about.iloc[order], ordinal[order]
    X, about = X.reset_index(drop=True), about.reset_index(drop=True)
    return Rows(X, about.pop(target), ordinal, about)
