"""How many independent rows the rows of a reference and of a batch are worth if they are autocorrelated in time."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_assets.lazy import np
from mlops_assets.statistics import students_t
from mlops_assets.statistics.arrays import Booleans, Floats, Integers
from mlops_assets.statistics.resampling import block_length

FEWEST_BLOCKS = 10
_MOST_ROWS = 16_000
_MOST_CATEGORIES = 10


@dataclass(frozen=True)
class Side:
    """The rows of the reference or of the batch, in order of time; arrays (rows,).

    `times` are on a scale that both sides share, None for the position. `cells` are season cells and `weights` the
    weight of each row (sum 1), None if all rows have equal weight.
    """

    rows: int
    times: Floats | None = None
    cells: Integers | None = None
    weights: Floats | None = None

    @property
    def moments(self) -> Floats:
        """The times (rows,), or the positions without times."""
        return np.arange(self.rows, dtype=np.float64) if self.times is None else self.times

    def select(self, selected: Booleans) -> Side:
        """Return the side with the rows where `selected` is true."""
        if selected.all():
            return self
        cells = None if self.cells is None else self.cells[selected]
        weights = None if self.weights is None else self.weights[selected] / max(self.weights[selected].sum(), 1e-300)
        return Side(int(selected.sum()), self.moments[selected], cells, weights)

    def worth(self) -> float:
        """Return how many equally weighted rows are worth as much (Kish 1965)."""
        return float(self.rows) if self.weights is None else float(1.0 / np.sum(self.weights**2))


@dataclass(frozen=True)
class EffectiveRows:
    """Independent rows that each side is worth; `blocks` is the number of blocks of the measurement, 0 for none."""

    reference: float
    batch: float
    blocks: int

    def correct(self, p: float) -> float:
        """Correct a p from these rows with Student's tail, since few blocks give the variance."""
        if not self.blocks:
            return p
        return 2.0 * students_t.tail(-students_t.normal_quantile(max(p, 1e-300) / 2.0), self.blocks - 2)


def effective_rows(
    codes: tuple[Integers, Integers], bins: int, sides: tuple[Side, Side], cumulative: bool
) -> EffectiveRows:
    """Return effective rows for shares of both sides' codes 0..bins-1 (rows,), or for the cumulative shares.

    If neither side is autocorrelated (Politis & White's block length is 1), rows count in full. Else both sides are cut
    into blocks of the same duration: at least a block length, and at most as long as the batch. The correlation within
    blocks gives each side's design effect 1 + (n - 1) rho (Kish 1965, "Survey sampling"). The share with the greatest
    effect counts. So a batch that is shorter than a block is compared with stretches of the reference of the same
    length. A reference thinned by sampling works as well, if times are given. Without times the rows of both sides
    count as equally far apart, and the side with the greater autocorrelation decides.
    """
    worth = (sides[0].worth(), sides[1].worth())
    cells = [np.zeros(side.rows, dtype=np.int64) if side.cells is None else side.cells for side in sides]
    expected = _by_cell(codes[0], bins, cells)
    lengths = [_block_length(code, expected, cell, cumulative) for code, cell in zip(codes, cells, strict=True)]
    if max(lengths) == 1 or bins < 2:
        return EffectiveRows(*worth, 0)
    blocks = _blocks(sides, lengths)
    correlations = [
        _correlation_within(code, expected, cell, block, cumulative)
        for code, cell, block in zip(codes, cells, blocks, strict=True)
    ]
    measured = [correlation for correlation in correlations if correlation is not None]
    if not measured:  # rows are autocorrelated, and no block holds two of them to measure how much
        return EffectiveRows(*worth, 1)
    within = _combine(measured, timed=sides[0].times is not None)
    sizes = [np.bincount(block).astype(np.float64) for block in blocks]
    effects = [1.0 + within * (float(np.sum(size**2) / size.sum()) - 1.0) for size in sizes]
    return EffectiveRows(worth[0] / effects[0], worth[1] / effects[1], sum(map(len, sizes)))


def _block_length(codes: Integers, expected: Floats, cell: Integers, cumulative: bool) -> int:
    """Return the block length for one side's codes, or the greatest of its most frequent categories.

    Codes of categories have no order: two that lie as far from the mean can take turns without any trace in it.
    """
    codes, cell = codes[-_MOST_ROWS:], cell[-_MOST_ROWS:]
    bins = expected.shape[1]
    if cumulative or bins == 2:
        return block_length(codes - (expected @ np.arange(bins))[cell])
    frequent = np.argsort(-np.bincount(codes, minlength=bins), kind="stable")[:_MOST_CATEGORIES]
    return max(block_length((codes == category) - expected[cell, category]) for category in frequent)


def _blocks(sides: tuple[Side, Side], lengths: list[int]) -> list[Integers]:
    """Return the block that each row of each side belongs to, numbered without gaps."""
    moments = [side.moments for side in sides]
    spans = [float(moment.max() - moment.min()) * len(moment) / max(len(moment) - 1, 1) for moment in moments]
    duration = max(
        span * length / len(moment) if length > 1 else 0.0
        for span, length, moment in zip(spans, lengths, moments, strict=True)
    )
    count = max(1, int(spans[1] / duration)) if duration else 1
    width = (spans[1] / count if spans[1] else duration) or spans[0] or 1.0
    numbers = [((moment - moment.min()) / width * (1.0 - 1e-9)).astype(np.int64) for moment in moments]
    # a stretch without rows is not a block: a batch of minutes would cut a reference of years into millions
    return [np.unique(number, return_inverse=True)[1].astype(np.int64) for number in numbers]


def _correlation_within(
    codes: Integers, expected: Floats, cell: Integers, block: Integers, cumulative: bool
) -> tuple[Floats, Floats, int] | None:
    """Return the correlation of two rows of a block and the variance, by share (bins,), and the blocks less one."""
    (cells, bins), count, rows = expected.shape, int(block.max()) + 1, len(codes)
    table = _table(block, codes, count, bins)
    sizes = table.sum(axis=1)
    pairs = float(np.sum(sizes**2)) - rows
    if count < 2 or pairs <= 0:
        return None
    if cumulative:
        table, expected = table.cumsum(axis=1)[:, :-1], expected.cumsum(axis=1)[:, :-1]
    inside = _table(block, cell, count, cells)
    variance = inside.sum(axis=0) / rows @ (expected * (1.0 - expected))
    surplus = table - inside @ expected
    surplus -= np.outer(sizes, surplus.sum(axis=0) / rows)
    square = (surplus**2).sum(axis=0) * count / (count - 1)
    return (square / np.maximum(variance, 1e-9) - rows) / pairs, variance, count - 1


def _combine(sides: list[tuple[Floats, Floats, int]], timed: bool) -> float:
    """Return the greatest correlation over the shares, at least 0."""
    correlations, variances, freedom = zip(*sides, strict=True)
    correlation = np.average(correlations, axis=0, weights=freedom) if timed else np.max(correlations, axis=0)
    variance = np.average(variances, axis=0, weights=freedom)
    # shares near 0 or 1 carry little of the difference, and their correlation is mostly noise
    return float(np.clip(correlation[variance >= 0.5 * variance.max()].max(), 0.0, 1.0))


def _by_cell(codes: Integers, bins: int, cells: list[Integers]) -> Floats:
    """Return the shares of the reference's codes within each season cell (cells, bins)."""
    table = _table(cells[0], codes, max(int(cell.max()) for cell in cells) + 1, bins)
    return np.asarray(table / np.maximum(table.sum(axis=1, keepdims=True), 1))


def _table(rows: Integers, columns: Integers, height: int, width: int) -> Floats:
    """Return how often each pair of numbers occurs (height, width)."""
    pairs = np.bincount(rows * width + columns, minlength=height * width)
    return pairs.reshape(height, width).astype(np.float64)
