"""What may be declared as the path of a `Folder`: a glob of this machine or of an object store, without credentials."""

from __future__ import annotations

import re

from mlops_assets.errors import MlopsAssetsError
from mlops_assets.file_systems import check_place, is_url
from mlops_assets.sources.folder.listing import fixed_root
from mlops_assets.sources.object_store import divided_url

_SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss")
_OPTIONS = re.compile(r"\?[\w.-]+=")


def checked_path(path: str) -> str:
    """Return the path; ValueError where it names no files, is of another scheme or holds credentials."""
    if is_url(path):
        return _checked_url(path.strip())
    if not path.strip() or "\0" in path or not fixed_root(path)[1]:
        raise ValueError("names no files; expected a glob such as 'data/bike/*.csv'")
    return path


def _checked_url(url: str) -> str:
    scheme = url.partition(":")[0]
    if scheme.lower() not in _SCHEMES:
        raise ValueError(
            f"begins with {scheme + ':'!r}; expected a path of this machine, such as 'data/bike/*.csv', or of an "
            "object store: s3://bucket/bike/*.csv, gs://bucket/.. or abfs://container/... Mount or copy the files"
        )
    place, glob = divided_url(url)
    bucket = place.partition("://")[2]
    if not bucket or any(sign in bucket for sign in "*?["):
        raise ValueError(f"names no bucket; expected one, without wildcards, as in {scheme}://bucket/bike/*.csv")
    if _OPTIONS.search(url):
        raise ValueError(
            "has options behind a '?', and Dagster would show them; expected a glob. Set the store's own environment "
            "variables, such as AWS_ACCESS_KEY_ID"
        )
    try:
        check_place(place)
    except MlopsAssetsError as problem:
        raise ValueError(str(problem)) from None
    if "\0" in url or not glob.strip("/") or not fixed_root(f"bucket/{glob}")[1]:
        raise ValueError(f"names no files; expected a glob such as {scheme}://bucket/bike/*.csv")
    return url
