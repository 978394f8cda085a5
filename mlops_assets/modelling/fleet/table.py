"""The segments of a fitted fleet as a table: who has a model of its own, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_assets.lazy import np, pd

if TYPE_CHECKING:
    from mlops_assets.modelling.fleet.model import FleetModel


def segment_table(fleet: FleetModel) -> pd.DataFrame:
    """Return a row for each segment (k,), those with a model of their own first, then by their adjusted p.

    Columns: segment, model ("own" or "pooled"), kept (whether it is an earlier champion's), gain, error, p and adjusted
    of its own model on the pooled one, gain and adjusted p of the new version on the champion, and the digest of its
    own model. A gain is in units of the loss of a row; it is NaN for a segment without a comparison.
    """
    gains, digests = fleet.gains_, fleet.digests()
    tried = pd.DataFrame(
        {
            "gain": gains["mean"],
            "error": gains["error"],
            "p": gains["p"],
            "adjusted": gains["adjusted"],
        },
        index=pd.Index(fleet.segments_, dtype=object),
    )
    against = fleet.against_ or {"segments": [], "gain": [], "adjusted": []}
    on_champion = pd.DataFrame(
        {"gain_on_champion": against["gain"], "adjusted_on_champion": against["adjusted"]},
        index=pd.Index(against["segments"], dtype=object),
        dtype=float,
    )
    table = tried.join(on_champion, how="outer")
    names = list(table.index)
    table.insert(0, "segment", names)
    table.insert(1, "model", np.where([name in digests for name in names], "own", "pooled"))
    table.insert(2, "kept", [name in fleet.route_ for name in names])
    table["digest"] = [digests.get(name, "") for name in names]
    return table.sort_values(["model", "adjusted", "segment"], kind="stable", ignore_index=True)
