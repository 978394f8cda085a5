"""Folders by URL: which file system they are on, and the path there. Credentials come from the environment only."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from mlops_assets.errors import MlopsAssetsError
from mlops_assets.lazy import pa

_SCHEME = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]+):")
_STORES = {"s3": "s3", "gs": "gs", "gcs": "gs", "abfs": "abfs", "abfss": "abfs", "file": "file"}
_SECRETS = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ACCESS_KEY_ID",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
)

AWAY = "the store does not answer; look at the server and the network"
_CAUSES = {
    AWAY: ("NETWORK_CONNECTION", "connect", "resolve host", "timed out", "Timeout"),
    "the store refuses the credentials of the environment": (
        *("ACCESS_DENIED", "INVALID_ACCESS_KEY", "SIGNATURE", "AuthenticationFailed", "AuthorizationFailure"),
        *("InvalidAccessKeyId", "AccessDenied", "SignatureDoesNotMatch", "HTTP status 403", " 403 ", "Base64"),
    ),
    "the store has no room left; make room": ("InsufficientStorage", "QuotaExceeded", "status 507"),
    "the store asks for fewer requests, or is full": ("SLOW_DOWN", "SlowDown", "SERVICE_UNAVAILABLE", "status 503"),
    "there is no such bucket or container; make it": ("NO_SUCH_BUCKET", "NoSuchBucket", "ContainerNotFound"),
}


def is_url(place: str) -> bool:
    """Return whether a place is named by a URL rather than by a path of this machine."""
    return _SCHEME.match(place) is not None


def is_local(place: str) -> bool:
    """Return whether a place is on this machine's file system."""
    return not is_url(place) or _SCHEME.match(place).group(1).lower() == "file"  # type: ignore[union-attr]


def check_place(place: str) -> None:
    """Raise `MlopsAssetsError` where a URL has an unknown scheme, no bucket, or credentials; contact no server."""
    if not is_url(place):
        return
    url = urlsplit(place.strip())
    if url.scheme.lower() not in _STORES:
        raise MlopsAssetsError(
            f"{without_secrets(place)[:80]!r} begins with {url.scheme + ':'!r}; expected a folder of this machine, or "
            "s3://bucket/folder, gs://bucket/folder or abfs://container/folder"
        )
    account = url.scheme.lower() in ("abfs", "abfss") and url.password is None
    if url.query or url.fragment or (url.username is not None and not account):
        raise MlopsAssetsError(
            f"{url.scheme}://{url.hostname}{url.path[:60]} has options or credentials in its URL, and Dagster would "
            "show them: leave them out and set the store's own environment variables, such as AWS_ACCESS_KEY_ID"
        )
    if url.scheme.lower() != "file" and not url.netloc:
        raise MlopsAssetsError(f"{place[:80]!r} names no bucket; expected {url.scheme}://bucket/folder")


def file_system(place: str) -> tuple[pa.fs.FileSystem, str]:
    """Return the file system that holds a folder or file, and the path there; contact no server.

    A folder of this machine gives its absolute path; `s3://bucket/folder` gives `bucket/folder`.
    """
    check_place(place)
    if not is_url(place):
        return pa.fs.LocalFileSystem(), os.path.abspath(place)
    url = urlsplit(place.strip())
    store = _STORES[url.scheme.lower()]
    if store == "file":
        return pa.fs.LocalFileSystem(), os.path.abspath(url.path)
    # abfs://container@account.dfs.core.windows.net/folder, or abfs://container/folder with the account by environment
    container, _, host = url.netloc.rpartition("@") if "@" in url.netloc else (url.netloc, "", "")
    options = tuple(sorted({**_options(store, os.environ), **_account(host)}.items()))
    return _client(store, options), (container + url.path).rstrip("/")


def without_secrets(text: str) -> str:
    """Return a text, such as an error of a store, without credentials of the environment or signatures of a URL."""
    for value in filter(None, map(os.environ.get, _SECRETS)):
        text = text.replace(value, "***")
    return re.sub(r"(?i)\b(sig|signature|X-Amz-[A-Za-z-]+|token)=[^&\s'\"]+", r"\1=***", text)


def is_of_store(error: BaseException) -> bool:
    """Return whether an error is one of a store rather than of a file's content."""
    return any(word in str(error) for words in _CAUSES.values() for word in words)


def cause(error: BaseException) -> str:
    """Return what is wrong with a store in one line without secrets: what to look at, then the store's own words."""
    text = " ".join(without_secrets(str(error)).split())
    likely = next((why for why, words in _CAUSES.items() if any(word in text for word in words)), "the store fails")
    return f"{likely} ({text[:300]})"


def _options(store: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return what pyarrow does not read from the environment by itself, by the names that other clients use."""
    wanted = {"s3": _amazon, "gs": _google, "abfs": _azure}[store](environment)
    return {name: value for name, value in wanted.items() if value}


def _amazon(environment: Mapping[str, str]) -> dict[str, str]:
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or ""
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or ""
    return {
        "endpoint_override": endpoint,
        "scheme": urlsplit(endpoint).scheme,
        "region": region or ("us-east-1" if endpoint else ""),  # asking for it takes seconds where there is no cloud
        "tls_ca_file_path": environment.get("AWS_CA_BUNDLE", ""),
        # Not used: part of the key of the cache, so that changed credentials give a new client.
        "": f"{environment.get('AWS_ACCESS_KEY_ID')} {hash(environment.get('AWS_SECRET_ACCESS_KEY'))}",
    }


def _google(environment: Mapping[str, str]) -> dict[str, str]:
    emulator = environment.get("STORAGE_EMULATOR_HOST", "")
    return {
        "endpoint_override": re.sub(r"^https?://", "", emulator),
        "scheme": urlsplit(emulator).scheme,
        "anonymous": "yes" if emulator else "",
    }


def _azure(environment: Mapping[str, str]) -> dict[str, str]:
    endpoint = urlsplit(environment.get("AZURE_STORAGE_ENDPOINT", ""))
    return {
        "account_name": environment.get("AZURE_STORAGE_ACCOUNT_NAME", ""),
        "account_key": environment.get("AZURE_STORAGE_ACCOUNT_KEY", ""),
        "sas_token": environment.get("AZURE_STORAGE_SAS_TOKEN", ""),
        **{f"{kind}_storage_authority": endpoint.netloc for kind in ("blob", "dfs")},
        **{f"{kind}_storage_scheme": endpoint.scheme for kind in ("blob", "dfs")},
    }


def _account(host: str) -> dict[str, str]:
    return {"account_name": host.partition(".")[0]} if host else {}


@lru_cache(maxsize=32)
def _client(store: str, options: tuple[tuple[str, str], ...]) -> pa.fs.FileSystem:
    given: dict[str, object] = {name: value for name, value in options if name}
    if store == "s3":
        # A store that does not answer is given up after some 13 s: a tick of a sensor ends within 15.
        attempts = pa.fs.AwsStandardS3RetryStrategy(max_attempts=3)
        given |= {"connect_timeout": 3, "request_timeout": 4, "retry_strategy": attempts}
        try:  # an object below 5 MB is then written by one request in place of three
            return pa.fs.S3FileSystem(allow_delayed_open=True, **given)
        except TypeError:  # an older pyarrow does not know it
            return pa.fs.S3FileSystem(**given)
    if store == "gs":
        return pa.fs.GcsFileSystem(retry_time_limit=dt.timedelta(seconds=15), **given)
    if "account_name" not in given:
        raise MlopsAssetsError(
            "a storage at abfs://container/folder needs its account: set the environment variable "
            "AZURE_STORAGE_ACCOUNT_NAME, or write abfs://container@account.dfs.core.windows.net/folder"
        )
    return pa.fs.AzureFileSystem(**given)
