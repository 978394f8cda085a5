"""Where MLflow keeps artifacts, compared with where they are declared and with what this machine can reach.

MLflow writes the absolute path of a folder into its store, and uses that path wherever the store is: a home may have
been moved or copied, and a server names the folder to every machine that asks.
"""

import os
from pathlib import Path
from urllib.parse import quote, urlsplit

from mlops_assets.resources.mlflow.calls import is_loopback, local_folder

MODEL_FOLDER = "model"
"""The artifact of a run that is its fitted model."""


def elsewhere(declared: Path | None, uri: str) -> Path | None:
    """Return the folder of `uri` if it lies outside the declared folder; None otherwise, or if none is declared."""
    folder = local_folder(uri)
    outside = declared and folder and not folder.resolve().is_relative_to(declared.resolve())
    return folder if outside else None


def artifact_location(artifact_root: str, model: str) -> str:
    """Return the URI of the artifacts of a model's experiment."""
    is_uri = "://" in artifact_root or artifact_root.startswith("file:")
    root = artifact_root if is_uri else Path(artifact_root).absolute().as_uri()
    return f"{root.rstrip('/')}/{quote(model, safe='')}"


def model_of_run(artifact_folder: Path, model: str, run_id: str) -> Path:
    """Return the folder in which a run of a model's experiment stores the model, below a local artifact folder."""
    return artifact_folder / model / run_id / "artifacts" / MODEL_FOLDER


def misplaced(folder: Path, declared: Path) -> str:
    """Return a message on artifacts outside the declared folder, with the remedy."""
    return (
        f"MLflow's store has them at {folder}, and {declared} is declared, as after a home was moved or copied: "
        "run `mlops-assets rehome`, which writes the declared folder into the store"
    )


def local_on_server(artifact_root: str | None, uri: str) -> Path | None:
    """Return the folder in which an experiment of a server keeps artifacts, None if each machine gets them.

    A folder below a declared local `artifact_root`, such as a mount that all machines have, is as declared.
    """
    root = local_folder(artifact_root) if artifact_root else None
    return local_folder(uri) if root is None else elsewhere(root, uri)


def can_write(folder: Path, address: str) -> bool:
    """Return whether this machine is the one that has the folder of a server's experiment, and may write to it.

    It must not make the folder: root could make it on any machine, and the artifacts would be where no other looks. A
    server on loopback is on this machine, so the folder of its new experiment may be made.
    """
    if folder.exists() or not is_loopback(urlsplit(address).hostname or ""):
        return os.access(folder, os.W_OK | os.X_OK)
    return os.access(next(parent for parent in folder.absolute().parents if parent.exists()), os.W_OK | os.X_OK)


WAY_OUT = (
    "Rename the experiment (`mlflow experiments rename`), with `artifact_root` not declared or remote: the next "
    "training makes a new one, whose artifacts every machine gets. Versions of before stay on the machine that has them"
)


def on_another_machine(folder: Path) -> str:
    """Return a message on artifacts of a server that are in a local folder which this machine does not have."""
    return f"MLflow's server keeps the artifacts at {folder}, a folder that this machine does not have. {WAY_OUT}"
