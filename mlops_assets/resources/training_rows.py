"""Labelled rows of a manifest, read from the stored batches."""

from dataclasses import dataclass
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
    """The labelled rows of these batches, at the versions that the manifest names."""
    import numpy as np
    import pandas as pd

    parts = [read_batch(storage, model, batch.key, *batch.version.split("-")) for batch in batches]
    X = pd.concat([part[0] for part in parts], ignore_index=True)
    about = pd.concat([part[1] for part in parts], ignore_index=True)
    ordinal = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    labelled = about[model.target].notna().to_numpy()
    X, about, ordinal = X[labelled], about[labelled], ordinal[labelled]
    if model.time:  # batches may touch; folds need batch ordinals that never decrease, so time orders within a batch
        order = np.lexsort((about[model.time].to_numpy(), ordinal))
        X, about, ordinal = X.iloc[order], about.iloc[order], ordinal[order]
    X, about = X.reset_index(drop=True), about.reset_index(drop=True)
    return Rows(X, about.pop(model.target), ordinal, about)


def read_batch(
    storage: Storage, model: Declaration, batch: str, version: str, features: str
) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Features of all rows of a batch, and its target, time, key and slice columns, row by row."""
    wanted = list(dict.fromkeys([model.target, *([model.time] if model.time else []), *model.key, *model.slices]))
    X = storage.read_frame(model.name, "features", batch, features)
    return X, storage.read_frame(model.name, "dataset", batch, version, wanted)
