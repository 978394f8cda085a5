"""The value of an `UpstreamAsset` as a DataFrame."""

from __future__ import annotations

from mlops_assets.errors import SourceError, SourceUnavailableError
from mlops_assets.lazy import pd
from mlops_assets.sources.raised import masked
from mlops_assets.sources.upstream.source import UpstreamAsset


def load(source: UpstreamAsset, partition: str | None) -> pd.DataFrame:
    """Return the value of the asset; SourceUnavailableError where its IO manager fails."""
    try:
        value = source.assets.load(source.key, partition)
    except Exception as problem:  # the IO manager is the user's
        raise SourceUnavailableError(
            f"its IO manager could not load it ({type(problem).__name__}: {masked(str(problem)):.300}). Materialise it "
            "again; where it is of another code location, declare it here with the IO manager that loads it: "
            f"dg.AssetSpec({source.key!r:.120}).with_io_manager_key(...)"
        ) from None
    if isinstance(value, pd.DataFrame):
        return value
    try:
        frame = value.to_pandas() if hasattr(value, "to_pandas") else None
    except Exception as problem:  # the value is of any library
        raise SourceError(
            f"to_pandas() of its value, a {type(value).__name__}, raised {type(problem).__name__}: {problem!s:.200}. "
            "Return a DataFrame of pandas from the asset"
        ) from None
    if isinstance(frame, pd.DataFrame):
        return frame
    raise SourceError(
        f"its value is a {type(value).__name__}; expected a DataFrame of pandas, or what to_pandas() makes one of. "
        "Return one from the asset, or put an asset between that does"
    )
