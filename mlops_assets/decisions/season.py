"""The reference brought to the season of a batch: the same hours, weekdays or months, in the same shares."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops_assets.decisions.effective_rows import Floats, Integers, Side

Season = Literal["hour", "weekday", "month"]


@dataclass(frozen=True)
class Matched:
    """Row positions of both sides in order of time, what is known of these rows, and a sentence on what was matched.

    `why_not` says why the batch cannot be compared; empty where it can.
    """

    positions: tuple[Integers, Integers]
    sides: tuple[Side, Side]
    text: str = ""
    why_not: str = ""


def matched(
    rows: tuple[Integers, Integers], times: tuple[Any, Any] | None, season: Sequence[Season], min_rows: int
) -> Matched:
    """The rows at these positions; with times in their order, with a season as the batch's season asks for.

    `times` holds a datetime for each row of each side. Reference rows of season cells that the batch lacks are left
    out, the others weigh so that each cell has the batch's share (post-stratification). Batch rows of a cell that the
    reference never saw are left out too; where these are more than half, nothing can be said.
    """
    if times is None:
        why_not = "the reference keeps no times to match a season by: train again" if season else ""
        return Matched(rows, (Side(len(rows[0])), Side(len(rows[1]))), why_not=why_not)
    stamps = [pd.Series(pd.to_datetime(side)).reset_index(drop=True) for side in times]
    moments = [_moments(stamp)[row] for stamp, row in zip(stamps, rows, strict=True)]
    order = [np.argsort(moment, kind="stable") for moment in moments]
    positions = [row[sort] for row, sort in zip(rows, order, strict=True)]
    moments = [moment[sort] for moment, sort in zip(moments, order, strict=True)]
    if not season or not min(map(len, positions)):
        return _as_they_are(positions, moments)
    cells = [_cells(stamp.iloc[position], season) for stamp, position in zip(stamps, positions, strict=True)]
    shared = np.intersect1d(cells[0][cells[0] >= 0], cells[1])
    kept = [np.isin(cell, shared) for cell in cells]
    share = float(kept[1].mean())
    text = f"{', '.join(season)}: {share:.1%} of the batch's rows, in {len(shared):,} cells that the reference holds"
    why_not = ""
    if share < 0.5 or kept[1].sum() < min_rows:
        why_not = (
            f"{1 - share:.1%} of the batch's rows are of a season ({', '.join(season)}) that the reference never saw"
        )
    codes = [np.searchsorted(shared, cell[keep]) for cell, keep in zip(cells, kept, strict=True)]
    weights = _weights(codes[0], codes[1], len(shared))
    sides = (
        Side(len(codes[0]), moments[0][kept[0]], codes[0], weights),
        Side(len(codes[1]), moments[1][kept[1]], codes[1]),
    )
    return Matched((positions[0][kept[0]], positions[1][kept[1]]), sides, text, why_not)


def _as_they_are(positions: list[Integers], moments: list[Floats]) -> Matched:
    sides = [Side(len(moment), moment) for moment in moments]
    return Matched((positions[0], positions[1]), (sides[0], sides[1]))


def _moments(stamp: "pd.Series[Any]") -> Floats:
    """Seconds since 1970; a row without a time counts as of the time of the row before it."""
    filled = pd.to_datetime(stamp, utc=True).ffill().bfill()
    seconds = (filled - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)
    return np.asarray(seconds.fillna(0.0), dtype=np.float64)


def _cells(stamp: "pd.Series[Any]", season: Sequence[Season]) -> Integers:
    """The season cell of each row, in the local time of its stamp; -1 where it has none."""
    parts = {"hour": stamp.dt.hour, "weekday": stamp.dt.weekday, "month": stamp.dt.month}
    cell = np.zeros(len(stamp), dtype=np.int64)
    for name in season:
        cell = cell * 32 + parts[name].fillna(0).to_numpy(dtype=np.int64)
    return np.where(stamp.isna().to_numpy(), -1, cell)


def _weights(reference: Integers, batch: Integers, cells: int) -> NDArray[np.float64] | None:
    if not cells:
        return None
    shares = [np.bincount(code, minlength=cells) / len(code) for code in (reference, batch)]
    weights = (shares[1] / shares[0])[reference]
    return np.asarray(weights / weights.sum(), dtype=np.float64)
