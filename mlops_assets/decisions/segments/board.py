"""Which segments of a fleet need somebody, the most urgent first."""

from __future__ import annotations

from mlops_assets.lazy import np, pd

LONG = 5
"""Versions through which a segment keeps a champion's model before the board names it."""

_WHAT_TO_DO = {
    "decay and drift": "look at its source: inputs and losses changed; if the rows are right, retrain",
    "decay": "look at its labels; if they are right, retrain",
    "drift": "look at its source: its inputs changed, its losses did not or are not known yet",
    "failed fit": "look at its training rows: it has enough, but no model of its own could be fitted",
    "old model": "nothing, unless it decays: no newer model was better for it",
    "few rows": "nothing: it has the pooled model until it has rows enough",
}
"""What a segment may need somebody for, the most urgent first."""


def board(models: pd.DataFrame, decay: pd.DataFrame | None, drift: pd.DataFrame | None) -> pd.DataFrame:
    """Return a row for each segment that needs somebody, the most urgent first.

    Columns: segment, need, since (the batch), ratio (of the metric to that on the holdout), p (corrected for the number
    of segments), rows, model ("own" or "pooled"), kept_for (versions) and what_to_do.

    models: segment, model, tried, failed and kept_for of each segment of the champion. decay, drift: the newest tables
    of `segment_decay` and `segment_drift` with a column `since`; None before the first.
    """
    table = _joined(models, decay, drift)
    decayed, drifted = (table[f"{kind}_alarm"] for kind in ("decay", "drift"))
    table["need"] = np.select(
        [decayed & drifted, decayed, drifted, table["failed"], table["kept_for"] >= LONG, ~table["tried"]],
        list(_WHAT_TO_DO),
        "",
    )
    for name in ("since", "p", "rows"):
        table[name] = np.where(decayed, table[f"decay_{name}"], table[f"drift_{name}"])
    table.loc[~(decayed | drifted), "since"] = ""
    table.loc[~(decayed | drifted), "p"] = np.nan
    table["rows"] = table["rows"].where(decayed | drifted, table["decay_rows"]).fillna(0).astype(np.int64)
    table["what_to_do"] = table["need"].map(_WHAT_TO_DO)
    order = {need: number for number, need in enumerate(_WHAT_TO_DO)}
    table["order"] = table["need"].map(order)
    needy = table[table["need"] != ""].sort_values(
        ["order", "p", "ratio", "kept_for", "segment"], ascending=[True, True, False, False, True], kind="stable"
    )
    columns = ["segment", "need", "since", "ratio", "p", "rows", "model", "kept_for", "what_to_do"]
    return needy[columns].reset_index(drop=True)


def _joined(models: pd.DataFrame, decay: pd.DataFrame | None, drift: pd.DataFrame | None) -> pd.DataFrame:
    """Return a row for each segment of any table."""
    names = ["alarm", "since", "adjusted", "rows"]
    joined = models.set_index("segment")
    for kind, table in (("decay", decay), ("drift", drift)):
        part = pd.DataFrame(columns=["segment", *names, "ratio"]) if table is None else table
        part = part.set_index("segment")[[*names, *(["ratio"] if kind == "decay" else [])]]
        joined = joined.join(part.rename(columns={"adjusted": "p"}).add_prefix(f"{kind}_"), how="outer")
    for kind in ("decay", "drift"):
        joined[f"{kind}_alarm"] = joined[f"{kind}_alarm"].eq(True).astype(bool)
        joined[f"{kind}_since"] = joined[f"{kind}_since"].astype(object).where(joined[f"{kind}_alarm"], "")
        for name in ("p", "rows"):
            joined[f"{kind}_{name}"] = joined[f"{kind}_{name}"].astype(np.float64)
    joined = joined.rename(columns={"decay_ratio": "ratio"})
    joined["ratio"] = joined["ratio"].astype(np.float64)
    joined["model"] = joined["model"].fillna("pooled")  # a segment that the champion has never seen
    for name in ("failed", "tried"):
        joined[name] = joined[name].eq(True).astype(bool)
    joined["kept_for"] = joined["kept_for"].fillna(0).astype(np.int64)
    return joined.reset_index(names="segment")
