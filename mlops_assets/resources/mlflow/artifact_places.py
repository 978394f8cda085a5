"""Where MLflow keeps artifacts against where they are declared, by which a home that was moved or copied is known.

MLflow writes the whole path of a folder into its store, and goes on using it wherever the store is.
"""

from pathlib import Path
from urllib.parse import quote

from mlops_assets.resources.mlflow.calls import local_folder


def declared_folder(address: str, artifact_root: str | None) -> Path | None:
    """The folder that artifacts are declared to lie below; None for a server, another database, or a remote root."""
    if artifact_root is None or not address.startswith("sqlite:"):
        return None
    folder = local_folder(artifact_root)
    return None if folder is None else folder.absolute()


def elsewhere(declared: Path | None, uri: str) -> Path | None:
    """The folder of `uri` if it does not lie below the declared one; None where it does, or where nothing is asked."""
    folder = local_folder(uri)
    if declared is None or folder is None or folder.resolve().is_relative_to(declared.resolve()):
        return None
    return folder


def artifact_location(artifact_root: str, model: str) -> str:
    """The URI of the artifacts of a model's experiment."""
    is_uri = "://" in artifact_root or artifact_root.startswith("file:")
    root = artifact_root if is_uri else Path(artifact_root).absolute().as_uri()
    return f"{root.rstrip('/')}/{quote(model, safe='')}"


def misplaced(folder: Path, declared: Path) -> str:
    """What is wrong with artifacts that lie elsewhere, and how to mend it."""
    return (
        f"MLflow's store has them at {folder}, and {declared} is declared, as after a home was moved or copied: "
        "run `mlops-assets rehome`, which writes the declared folder into the store"
    )
