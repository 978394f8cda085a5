"""The segments of a fitted fleet as a table: who has a model of its own, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_assets.lazy import np, pd

if TYPE_CHECKING:
    from mlops_assets.modelling.fleet.model import FleetModel


def segment_table(fleet: FleetModel) -> pd.DataFrame:
    """Return a row for each segment (k,), those with a model of their own first, then by their adjusted p.

    Columns: segment, model ("own" or "pooled"), rows compared, gain, error, p, adjusted, and the digest of its own
    model. A gain is in units of the loss of a row; it is NaN for a segment that was not tried.
    """
    gains, digests = fleet.gains_, fleet.digests()
    own = [name in fleet.models_ for name in fleet.segments_]
    table = pd.DataFrame(
        {
            "segment": fleet.segments_,
            "model": np.where(own, "own", "pooled"),
            "rows": gains["rows"],
            "gain": gains["mean"],
            "error": gains["error"],
            "p": gains["p"],
            "adjusted": gains["adjusted"],
            "digest": [digests.get(name, "") for name in fleet.segments_],
        }
    )
    return table.sort_values(["model", "adjusted", "segment"], kind="stable", ignore_index=True)
