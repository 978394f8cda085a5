"""Where MLflow keeps artifacts, compared with where they are declared: this shows that a home was moved or copied.

MLflow writes the absolute path of a folder into its store, and uses that path wherever the store is.
"""

from pathlib import Path
from urllib.parse import quote

from mlops_assets.resources.mlflow.calls import local_folder


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


def misplaced(folder: Path, declared: Path) -> str:
    """Return a message on artifacts outside the declared folder, with the remedy."""
    return (
        f"MLflow's store has them at {folder}, and {declared} is declared, as after a home was moved or copied: "
        "run `mlops-assets rehome`, which writes the declared folder into the store"
    )
