"""The reference matched to the season of a batch: the same hours, weekdays or months, in the same shares."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from mlops_assets.decisions.drift.column_tests import FEWEST_ROWS
from mlops_assets.lazy import np, pd
from mlops_assets.statistics.arrays import Booleans, Floats, Integers
from mlops_assets.statistics.effective_rows import Side

Season = Literal["hour", "weekday", "month"]

_CYCLES = {"hour": timedelta(days=1), "weekday": timedelta(days=7), "month": timedelta(days=365)}
_FIRST_MONDAY = datetime(1970, 1, 5)
# a period of which the reference holds only a few days at its edge does not show how periods differ
_LEAST_OF_A_PERIOD = 0.1


@dataclass(frozen=True)
class UsedRows:
    """Row positions of both sides in order of time, their `Side`s, and a sentence on what was matched.

    `obstacle` says why the batch cannot be compared; "" if it can.
    """

    positions: tuple[Integers, Integers]
    sides: tuple[Side, Side]
    text: str = ""
    obstacle: str = ""


def match_rows(
    rows: tuple[Integers, Integers], times: tuple[Any, Any] | None, season: Sequence[Season], where: str = "reference"
) -> UsedRows:
    """Return the rows at these positions: in order of `times` if given, and with a season matched to the batch's.

    `times` holds a datetime for each row of each side. Reference rows of season cells that the batch lacks are left
    out. The others are weighted so that each cell has the batch's share (post-stratification). Batch rows of a cell
    that the reference lacks are left out too. So are rows of a season that it holds once (see `_single_period`). If
    these are more than half, there is no result. `where` is the name of the reference in texts.
    """
    if times is None:
        obstacle = f"the {where} has no times to match the season by: train again" if season else ""
        return UsedRows(rows, (Side(len(rows[0])), Side(len(rows[1]))), obstacle=obstacle)
    reference, batch = (_in_order(side, row) for side, row in zip(times, rows, strict=True))
    if season and len(reference.positions) and len(batch.positions):
        return _of_same_season(reference, batch, season, where)
    sides = (Side(len(reference.moments), reference.moments), Side(len(batch.moments), batch.moments))
    return UsedRows((reference.positions, batch.positions), sides)


@dataclass(frozen=True)
class _Ordered:
    """Rows of one side in order of time: their times, their positions, and seconds since 1970."""

    times: pd.Series[Any]
    positions: Integers
    moments: Floats


def _in_order(times: Any, rows: Integers) -> _Ordered:
    """Order rows by time; a row without a time takes the time of the row before it."""
    stamps = pd.Series(pd.to_datetime(times)).reset_index(drop=True)
    filled = pd.to_datetime(stamps, utc=True).ffill().bfill()
    seconds = ((filled - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)).fillna(0.0)
    moments = np.asarray(seconds, dtype=np.float64)[rows]
    order = np.argsort(moments, kind="stable")
    return _Ordered(stamps.iloc[rows[order]], rows[order], moments[order])


def _of_same_season(reference: _Ordered, batch: _Ordered, season: Sequence[Season], where: str) -> UsedRows:
    cells = (_cells(reference.times, season), _cells(batch.times, season))
    unseen = ~np.isin(cells[1], cells[0][cells[0] >= 0])
    single, note = _single_period(reference.times, batch.times, season, where)
    usable = ~unseen & ~single
    shared = np.unique(cells[1][usable])
    selected = (np.isin(cells[0], shared), usable)
    share, names, obstacle = float(usable.mean()), ", ".join(season), ""
    if share < 0.5 or usable.sum() < FEWEST_ROWS:
        obstacle = f"{unseen.mean():.1%} of the batch's rows are of a season ({names}) that the {where} lacks"
        if (single & ~unseen).sum() > unseen.sum():
            obstacle = note
    codes = [np.searchsorted(shared, cell[rows]) for cell, rows in zip(cells, selected, strict=True)]
    moments, positions = reference.moments[selected[0]], reference.positions[selected[0]]
    sides = (
        Side(len(codes[0]), moments, codes[0], _weights(codes[0], codes[1], len(shared))),
        Side(len(codes[1]), batch.moments[usable], codes[1]),
    )
    text = f"{names}: {share:.1%} of the batch's rows, in {len(shared):,} cells that the {where} holds"
    return UsedRows((positions, batch.positions[usable]), sides, text, obstacle)


def _single_period(
    reference: pd.Series[Any], batch: pd.Series[Any], season: Sequence[Season], where: str
) -> tuple[Booleans, str]:
    """Return the batch rows (rows,) of a season that the reference holds in one period only, and a sentence.

    A batch of June is one draw of all Junes. How Junes differ shows only in two or more of them, however many rows one
    has. Parts of the season have cycles: a year for months, a week, a day. A cycle longer than the batch must occur
    twice with the batch's value. One is enough if it is the batch's own: both sides are of the same June.
    """
    single, sentence = np.zeros(len(batch), dtype=bool), ""
    span = batch.max() - batch.min()
    for name in [name for name in season if _CYCLES[name] > span]:
        values, cycles = _parts(reference, name)
        batch_values, batch_cycles = _parts(batch, name)
        for value in np.unique(batch_values[batch_values >= 0]):
            periods, rows = np.unique(cycles[values == value], return_counts=True)
            periods = periods[rows >= _LEAST_OF_A_PERIOD * rows.max(initial=0)]
            of_value = batch_values == value
            if len(periods) == 1 and not (batch_cycles[of_value] == periods[0]).all():
                single |= of_value
                one = _period_name(name, int(value))
                sentence = sentence or (
                    f"the {where} holds one {one}; two are needed to know how far one {one} is from another"
                )
    return single, sentence


def _period_name(name: Season, value: int) -> str:
    if name == "hour":
        return f"hour from {value:02d}:00"
    return calendar.month_name[value + 1] if name == "month" else calendar.day_name[value]


def _parts(times: pd.Series[Any], name: Season) -> tuple[Integers, Integers]:
    """Return this part of each row's season, in local time, from 0, and the number of its cycle; -1 without a time."""
    local = times.dt.tz_localize(None)
    if name == "month":
        value, cycle = local.dt.month - 1, local.dt.year
    else:
        value = local.dt.weekday if name == "weekday" else local.dt.hour
        cycle = (local - _FIRST_MONDAY).dt.days // _CYCLES[name].days
    return value.fillna(-1).to_numpy(dtype=np.int64), cycle.fillna(-1).to_numpy(dtype=np.int64)


def _cells(times: pd.Series[Any], season: Sequence[Season]) -> Integers:
    """Return the season cell of each row; -1 for a row without a time."""
    cell = np.zeros(len(times), dtype=np.int64)
    for name in season:
        cell = cell * 32 + _parts(times, name)[0]
    return np.where(times.isna().to_numpy(), -1, cell)


def _weights(reference: Integers, batch: Integers, cells: int) -> Floats | None:
    if not cells:
        return None
    shares = [np.bincount(code, minlength=cells) / len(code) for code in (reference, batch)]
    weights = (shares[1] / shares[0])[reference]
    return np.asarray(weights / weights.sum())
