"""Opens a `Delta` table at its newest version: bounded in time, and silent about secrets."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from mlops_assets.errors import SourceUnavailableError
from mlops_assets.file_systems import file_system, is_local, without_secrets
from mlops_assets.lazy import deltalake, pa
from mlops_assets.sources import Delta
from mlops_assets.sources.object_store import ANSWER_SECONDS, answer
from mlops_assets.sources.raised import alternatives

_CLIENT = {"connect_timeout": "3s", "timeout": "4s", "max_retries": "2", "retry_timeout": "10s"}
_Answer = TypeVar("_Answer")


class Opened(NamedTuple):
    """A version of a table; `rows` are read by pyarrow from `files`, in which `root` is the table's folder."""

    table: Any
    rows: Any
    files: pa.fs.FileSystem
    root: str


def opened(delta: Delta) -> Opened:
    """Return the newest version; SourceUnavailableError where it cannot be had, or the column of time is not one."""
    files, root = store_of(delta)
    folder = pa.fs.SubTreeFileSystem(root, files)

    def load() -> Opened:
        table = deltalake.DeltaTable(_address(delta.path, root), storage_options=_options(delta.path, os.environ))
        return Opened(table, table.to_pyarrow_dataset(filesystem=folder), files, root)

    version = asked(delta, load)
    _require_times(delta, version.rows.schema)
    return version


def store_of(delta: Delta) -> tuple[pa.fs.FileSystem, str]:
    """Return the file system of a table, and the table's folder in it; contact no server."""
    try:
        return file_system(delta.path)
    except Exception as problem:
        raise SourceUnavailableError(str(problem)) from None


def asked(delta: Delta, call: Callable[[], _Answer], seconds: float = ANSWER_SECONDS) -> _Answer:
    """Return what a call of deltalake or pyarrow returns; what it raises is a SourceUnavailableError."""
    try:
        return call() if is_local(delta.path) else answer(delta.path, call, seconds)
    except SourceUnavailableError:
        raise
    except deltalake.exceptions.TableNotFoundError:
        raise SourceUnavailableError("there is no Delta table; correct the path") from None
    except FileNotFoundError:
        raise SourceUnavailableError(
            "a file of the table is gone, as after VACUUM; its newest version is read at the next attempt"
        ) from None
    except (deltalake.exceptions.DeltaError, OSError, pa.ArrowException, ValueError) as problem:
        text = " ".join(without_secrets(str(problem)).split()).rstrip(".")
        raise SourceUnavailableError(f"the table does not give its rows: {text:.300}. Nothing was read") from None


def _require_times(delta: Delta, schema: pa.Schema) -> None:
    time = str(delta.time)
    if time not in schema.names:
        raise SourceUnavailableError(
            f"time: there is no column {time!r:.80}{alternatives(time, schema.names, 'columns')}"
        )
    kind = schema.field(time).type
    if not pa.types.is_timestamp(kind) and not pa.types.is_date(kind):
        raise SourceUnavailableError(
            f"column {time!r:.80} is of type {kind!s:.40}; expected timestamps or dates, to divide the rows by. "
            "Declare another column"
        )


def _address(path: str, root: str) -> str:
    return root if is_local(path) else path


def _options(path: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return what deltalake does not read from the environment by itself, by the variables that a `Folder` goes by."""
    if is_local(path):
        return {}
    scheme = urlsplit(path).scheme.lower()
    if scheme == "s3":
        return {**_CLIENT, **_amazon(environment)}
    return {**_CLIENT, **(_azure(path, environment) if scheme.startswith("abfs") else {})}


def _amazon(environment: Mapping[str, str]) -> dict[str, str]:
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or ""
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or ("us-east-1" if endpoint else "")
    options = {"aws_endpoint_url": endpoint, "aws_region": region}
    if urlsplit(endpoint).scheme == "http":
        options["aws_allow_http"] = "true"
    return {name: value for name, value in options.items() if value}


def _azure(path: str, environment: Mapping[str, str]) -> dict[str, str]:
    endpoint = environment.get("AZURE_STORAGE_ENDPOINT", "").rstrip("/")
    account = urlsplit(path).hostname if "@" in urlsplit(path).netloc else ""
    options = {"azure_storage_account_name": (account or "").partition(".")[0]}
    if endpoint:  # an emulator has the account in its path
        options["azure_storage_endpoint"] = f"{endpoint}/{environment.get('AZURE_STORAGE_ACCOUNT_NAME', '')}"
    if urlsplit(endpoint).scheme == "http":
        options["azure_allow_http"] = "true"
    return {name: value for name, value in options.items() if value}
