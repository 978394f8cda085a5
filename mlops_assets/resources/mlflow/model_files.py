"""A fitted scikit-learn model in a folder: saved as an ordinary MLflow model, loaded without trusting the folder."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
from collections.abc import Sequence
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, Literal

import yaml

from mlops_assets.errors import ArtifactError
from mlops_assets.lazy import pd
from mlops_assets.modelling.fitting import boosting
from mlops_assets.resources.lazy import mlflow
from mlops_assets.resources.mlflow.skops_import import import_skops
from mlops_assets.resources.mlflow.trusted_types import TRUSTED_TYPES

Serialization = Literal["skops", "cloudpickle"]

_MODEL_FILES = {"skops": "model.skops", "cloudpickle": "model.pkl", "pickle": "model.pkl"}
_MAX_MLMODEL_BYTES = 5_000_000


def digest_of(folder: Path) -> str:
    """Return the SHA-256 in hex over the relative path, size and bytes of every file in `folder`, in order of path.

    Raise `ArtifactError` for a missing or empty folder and for anything in it that is not a regular file.
    """
    names = _file_names(folder)
    if not names:
        raise ArtifactError(f"model folder {folder} is missing or empty: expected the files of a saved model")
    total = hashlib.sha256()
    for name in names:
        path = folder / name
        total.update(f"{len(name.encode())}:{name}:{path.stat().st_size}:".encode())
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def size_of(folder: Path) -> int:
    """Return the size of all files of a model folder in bytes."""
    return sum((folder / name).stat().st_size for name in _file_names(folder))


def verify_digest(folder: Path, digest: str, described: str = "model artifact") -> None:
    """Raise `ArtifactError` unless `folder` has this `digest`; `described` opens the message."""
    actual = digest_of(folder)
    if actual != digest:
        raise ArtifactError(
            f"{described} has changed since it was registered: expected sha256 {digest[:12]}.., got {actual[:12]}... "
            "Restore the artifact, or train and register a new version"
        )


def save_model(
    model: Any,
    folder: Path,
    X_example: pd.DataFrame,
    serialization: Serialization = "skops",
    trusted: Sequence[str] = (),
) -> str:
    """Save a fitted scikit-learn estimator as an MLflow model in `folder` (new or empty) and return its digest.

    `X_example`: rows that the model can predict; the first 5 become the input example, their types the metadata
    "features". The signature has outputs only: for inputs MLflow would refuse an int64 for a double, a missing
    boolean and nullable types, all of which the model takes. Its requirements are the installed versions of
    scikit-learn, pandas, numpy, the serializer and the boosting library in use. `trusted`: types that the declaration
    adds to `TRUSTED_TYPES`.

    Raise `ArtifactError` that names the types if skops cannot store the model, or the machine's error if the files
    cannot be written; `folder` is then removed.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ArtifactError(f"model folder {folder} is not empty: give a new folder")
    configure_mlflow()
    if serialization == "skops":
        import_skops()  # before MLflow does
    head = X_example.head(5)
    try:
        mlflow.sklearn.save_model(
            model,
            str(folder),
            serialization_format=serialization,
            signature=mlflow.models.ModelSignature(
                outputs=mlflow.models.infer_signature(model_output=model.predict(head)).outputs
            ),
            input_example=head,
            metadata={"features": {name: str(dtype) for name, dtype in head.dtypes.items()}},
            pip_requirements=[*_installed_requirements(serialization), *boosting.requirements(model)],
            skops_trusted_types=sorted({*TRUSTED_TYPES, *trusted}) if serialization == "skops" else None,
        )
    except (mlflow.exceptions.MlflowException, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        if (full := _of_the_machine(error)) is not None:
            raise ArtifactError(f"{folder} cannot be written: {full.strerror}. Look at space and rights") from error
        if serialization != "skops":
            raise ArtifactError(f"{type(model).__name__} cannot be saved with {serialization}: {error}") from error
        raise ArtifactError(_why_skops_refuses(model, trusted)) from error
    return digest_of(folder)


def load_model(
    folder: Path,
    digest: str,
    serialization: Serialization = "skops",
    trusted: Sequence[str] = (),
    described: str = "model artifact",
) -> Any:
    """Load the model in `folder` if its digest is `digest` and its format cannot run foreign code.

    `serialization="cloudpickle"` allows a pickle; a skops file is always loaded as skops. The trusted types are
    `TRUSTED_TYPES` and `trusted`, never types that the artifact names. `described` opens every message, as in
    "artifact of co2_forecast version 3".

    Raise `ArtifactError` for a changed digest, a foreign loader, packed code, an undeclared pickle, an untrusted type,
    or an unreadable file.
    """
    verify_digest(folder, digest, described)
    stored = _inspected_format(folder, described)
    if stored != "skops" and serialization != "cloudpickle":
        raise ArtifactError(
            f"{described} is a {stored} file, which runs code when loaded: expected skops. "
            'If you made it yourself, declare serialization="cloudpickle"; else train a new version'
        )
    path = folder / _MODEL_FILES[stored]
    if not path.is_file():
        raise ArtifactError(f"{described} has no file {path.name}: train and register a new version")
    try:
        if stored == "skops":
            return _load_skops(path, trusted, described)
        with path.open("rb") as file:
            return pickle.load(file)
    except ArtifactError:
        raise
    except Exception as error:  # a damaged file, or a type of another library version: both raise many kinds
        raise ArtifactError(
            f"{described} cannot be read ({type(error).__name__}: {str(error)[:200]}). "
            "Use the versions in its requirements.txt, or train and register a new version"
        ) from error


def configure_mlflow() -> None:
    """Switch off MLflow's telemetry, progress bars and printing of run addresses; call it before MLflow's import."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # it would print the tracking URI with credentials


def _file_names(folder: Path) -> list[str]:
    names = []
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ArtifactError(
                f"model folder {folder} holds {path.name[:80]!r}, which is not a regular file or folder"
            )
        names += [path.relative_to(folder).as_posix()] if path.is_file() else []
    return sorted(names)


def _installed_requirements(serialization: Serialization) -> list[str]:
    return [f"{name}=={installed_version(name)}" for name in ("scikit-learn", serialization, "pandas", "numpy")]


def _of_the_machine(error: BaseException) -> OSError | None:
    """Return the OSError behind MLflow's error, None without one: MLflow reports a full disk as an untrusted type."""
    cause: BaseException | None = error
    while cause is not None and not (isinstance(cause, OSError) and cause.errno):
        cause = cause.__cause__ or cause.__context__
    return cause


def _why_skops_refuses(model: Any, trusted: Sequence[str]) -> str:
    skops_io = import_skops()
    declare = 'declare serialization="cloudpickle" (it runs code on load: only where you trust the registry)'
    name = type(model).__name__
    try:
        content = skops_io.dumps(model)
        unknown = sorted(set(skops_io.get_untrusted_types(data=content)) - {*TRUSTED_TYPES, *trusted})
        skops_io.loads(content, trusted=[*TRUSTED_TYPES, *trusted, *unknown])
    except Exception as error:  # skops raises whatever the types it meets raise
        return f"{name} cannot be stored with skops: {str(error)[:200]}. Define its functions in a module, or {declare}"
    return f"{name} holds types that are not trusted: {', '.join(unknown)}. Add them to `trusted_types`, or {declare}"


def _inspected_format(folder: Path, described: str) -> str:
    """Return the serialization format in MLmodel; raise `ArtifactError` if the file refers to foreign code."""
    path = folder / "MLmodel"
    if not path.is_file() or path.stat().st_size > _MAX_MLMODEL_BYTES:
        raise ArtifactError(
            f"{described} has no usable MLmodel file: expected one of at most {_MAX_MLMODEL_BYTES} bytes"
        )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        flavors: dict[str, dict[str, Any]] = {name: dict(flavor or {}) for name, flavor in content["flavors"].items()}
        stored = flavors["sklearn"]["serialization_format"]
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ArtifactError(f"{described} has an MLmodel file that is not one of a scikit-learn model") from error
    for flavor, fields in flavors.items():
        if fields.get("code"):
            raise ArtifactError(f"{described} brings code of its own (flavor {flavor[:80]!r}): refused")
        loader = fields.get("loader_module", "mlflow.sklearn")
        if loader != "mlflow.sklearn":
            raise ArtifactError(f"{described} names loader_module {str(loader)[:80]!r}: expected 'mlflow.sklearn'")
    if stored not in _MODEL_FILES:
        raise ArtifactError(f"{described} has format {str(stored)[:80]!r}: expected one of {sorted(_MODEL_FILES)}")
    return str(stored)


def _load_skops(path: Path, trusted: Sequence[str], described: str) -> Any:
    skops_io = import_skops()
    from skops.io.exceptions import UntrustedTypesFoundException

    allowed = [*TRUSTED_TYPES, *trusted]
    try:
        return skops_io.load(path, trusted=allowed)
    except UntrustedTypesFoundException as error:
        unknown = sorted(set(skops_io.get_untrusted_types(file=path)) - set(allowed))
        names = ", ".join(repr(name[:80]) for name in unknown[:10])
        raise ArtifactError(
            f"{described} holds types that are not trusted: {names}. If they are yours, add them to `trusted_types`"
        ) from error
