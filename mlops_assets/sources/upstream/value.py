"""The value of an `UpstreamAsset` as a DataFrame."""

from __future__ import annotations

from typing import Any

from mlops_assets.errors import SourceError, SourceUnavailableError
from mlops_assets.lazy import pd
from mlops_assets.sources.raised import masked
from mlops_assets.sources.upstream.source import UpstreamAsset


def load(source: UpstreamAsset, partition: str | None, batch: str | None) -> pd.DataFrame:
    """Return the value of the asset; SourceUnavailableError where its IO manager fails."""
    try:
        value = source.assets.load(source.key, partition)
    except Exception as problem:  # the IO manager is the user's
        raise _not_loaded(source, batch, problem) from None
    return _as_frame(source, value)


def _not_loaded(source: UpstreamAsset, batch: str | None, problem: Exception) -> SourceUnavailableError:
    text = masked(str(problem))
    where = "" if batch is None else f" batch {batch!r:.120}:"
    return SourceUnavailableError(
        f"{source.title}:{where} its IO manager could not load it ({type(problem).__name__}: {text:.300}). Materialise "
        "it again; where it is of another code location, declare it here with the IO manager that loads it: "
        f"dg.AssetSpec({source.key!r:.120}).with_io_manager_key(...)."
    )


def _as_frame(source: UpstreamAsset, value: Any) -> pd.DataFrame:
    try:
        frame = value.to_pandas() if not isinstance(value, pd.DataFrame) and hasattr(value, "to_pandas") else value
    except Exception as problem:  # the value is of any library
        raise SourceError(
            f"{source.title}: to_pandas() of its value, a {type(value).__name__}, raised {type(problem).__name__}: "
            f"{problem!s:.200}. Return a DataFrame of pandas from the asset."
        ) from None
    if not isinstance(frame, pd.DataFrame):
        raise SourceError(
            f"{source.title}: its value is a {type(value).__name__}; expected a DataFrame of pandas, or what "
            "to_pandas() makes one of. Return one from the asset, or put an asset between that does."
        )
    return frame
