"""The reference matched to the season of a batch: the same hours, weekdays or months, in the same shares."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from mlops_assets.lazy import np, pd
from mlops_assets.statistics.effective_rows import Floats, Integers, Side

if TYPE_CHECKING:
    from numpy.typing import NDArray

Season = Literal["hour", "weekday", "month"]

_CYCLES = {"hour": timedelta(days=1), "weekday": timedelta(days=7), "month": timedelta(days=365)}
_FIRST_MONDAY = pd.Timestamp("1970-01-05")
# a period of which the reference holds only a few days at its edge does not show how periods differ
_LEAST_OF_A_PERIOD = 0.1


@dataclass(frozen=True)
class Matched:
    """Row positions of both sides in order of time, their `Side`s, and a sentence on what was matched.

    `why_not` says why the batch cannot be compared; "" if it can.
    """

    positions: tuple[Integers, Integers]
    sides: tuple[Side, Side]
    text: str = ""
    why_not: str = ""


def matched(
    rows: tuple[Integers, Integers],
    times: tuple[Any, Any] | None,
    season: Sequence[Season],
    min_rows: int,
    where: str = "reference",
) -> Matched:
    """Return the rows at these positions: in order of `times` if given, and with a season matched to the batch's.

    `times` holds a datetime for each row of each side. Reference rows of season cells that the batch lacks are left
    out. The others are weighted so that each cell has the batch's share (post-stratification). Batch rows of a cell
    that the reference lacks are left out too. So are rows of a season that it holds once (see `_seen_once`). If these
    are more than half, there is no result. `where` is the name of the reference in texts.
    """
    if times is None:
        why_not = f"the {where} keeps no times to match a season by: train again" if season else ""
        return Matched(rows, (Side(len(rows[0])), Side(len(rows[1]))), why_not=why_not)
    stamps = [pd.Series(pd.to_datetime(side)).reset_index(drop=True) for side in times]
    moments = [_moments(stamp)[row] for stamp, row in zip(stamps, rows, strict=True)]
    order = [np.argsort(moment, kind="stable") for moment in moments]
    positions = [row[sort] for row, sort in zip(rows, order, strict=True)]
    moments = [moment[sort] for moment, sort in zip(moments, order, strict=True)]
    if not season or not min(map(len, positions)):
        return _as_they_are(positions, moments)
    stamps = [stamp.iloc[position] for stamp, position in zip(stamps, positions, strict=True)]
    cells = [_cells(stamp, season) for stamp in stamps]
    never = ~np.isin(cells[1], cells[0][cells[0] >= 0])
    once, alone = _seen_once(stamps[0], stamps[1], season, where)
    shared = np.setdiff1d(cells[1][~never & ~once], [-1])
    kept = [np.isin(cells[0], shared), ~never & ~once]
    share = float(kept[1].mean())
    text = f"{', '.join(season)}: {share:.1%} of the batch's rows, in {len(shared):,} cells that the {where} holds"
    why_not = ""
    if share < 0.5 or kept[1].sum() < min_rows:
        unseen = (
            f"{never.mean():.1%} of the batch's rows are of a season ({', '.join(season)}) that the {where} never saw"
        )
        why_not = alone if (once & ~never).sum() > never.sum() else unseen
    codes = [np.searchsorted(shared, cell[keep]) for cell, keep in zip(cells, kept, strict=True)]
    weights = _weights(codes[0], codes[1], len(shared))
    sides = (
        Side(len(codes[0]), moments[0][kept[0]], codes[0], weights),
        Side(len(codes[1]), moments[1][kept[1]], codes[1]),
    )
    return Matched((positions[0][kept[0]], positions[1][kept[1]]), sides, text, why_not)


def _seen_once(
    reference: pd.Series[Any], batch: pd.Series[Any], season: Sequence[Season], where: str
) -> tuple[NDArray[np.bool_], str]:
    """Return the batch rows (rows,) of a season that the reference holds in one period only, and a sentence.

    A batch of June is one draw of all Junes. How Junes differ shows only in two or more of them, however many rows one
    has. Parts of the season have cycles: a year for months, a week, a day. A cycle longer than the batch must occur
    twice with the batch's value. One is enough if it is the batch's own: both sides are of the same June.
    """
    once = np.zeros(len(batch), dtype=bool)
    sentence = ""
    span = batch.max() - batch.min()
    for name in season:
        if not _CYCLES[name] > span:
            continue
        value, cycle = _parts(reference, name)
        own_value, own_cycle = _parts(batch, name)
        for each in np.unique(own_value[own_value >= 0]):
            periods, rows = np.unique(cycle[value == each], return_counts=True)
            periods = periods[rows >= _LEAST_OF_A_PERIOD * rows.max(initial=0)]
            of_it = own_value == each
            if len(periods) == 1 and not (own_cycle[of_it] == periods[0]).all():
                once |= of_it
                sentence = sentence or _once(name, int(each), where)
    return once, sentence


def _once(name: Season, value: int, where: str) -> str:
    if name == "month":
        one = calendar.month_name[value + 1]
    else:
        one = calendar.day_name[value] if name == "weekday" else f"hour from {value:02d}:00"
    return f"the {where} holds one {one}, which does not tell how far one {one} is from another: two are needed"


def _parts(stamp: pd.Series[Any], name: Season) -> tuple[Integers, Integers]:
    """Return this part of the season of each row, from 0, and the number of its cycle; -1 for a row without a time."""
    local = stamp.dt.tz_localize(None)
    if name == "month":
        value, cycle = local.dt.month - 1, local.dt.year
    else:
        value = local.dt.weekday if name == "weekday" else local.dt.hour
        cycle = (local - _FIRST_MONDAY).dt.days // _CYCLES[name].days
    return value.fillna(-1).to_numpy(dtype=np.int64), cycle.fillna(-1).to_numpy(dtype=np.int64)


def _as_they_are(positions: list[Integers], moments: list[Floats]) -> Matched:
    sides = [Side(len(moment), moment) for moment in moments]
    return Matched((positions[0], positions[1]), (sides[0], sides[1]))


def _moments(stamp: pd.Series[Any]) -> Floats:
    """Return seconds since 1970; a row without a time takes the time of the row before it."""
    filled = pd.to_datetime(stamp, utc=True).ffill().bfill()
    seconds = (filled - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)
    return np.asarray(seconds.fillna(0.0), dtype=np.float64)


def _cells(stamp: pd.Series[Any], season: Sequence[Season]) -> Integers:
    """Return the season cell of each row, in the local time of its stamp; -1 for a row without a time."""
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
