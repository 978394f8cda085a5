"""How many independent rows the rows of a reference and of a batch are worth if they are autocorrelated in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from mlops_assets.lazy import np
from mlops_assets.statistics import students_t
from mlops_assets.statistics.resampling import block_length

if TYPE_CHECKING:
    from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float64]"
Integers: TypeAlias = "NDArray[np.int64]"

FEWEST_BLOCKS = 10
_ROWS_LOOKED_AT = 16_000


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

    def of(self, known: NDArray[np.bool_]) -> Side:
        """Return the side with the rows where `known` is true."""
        if known.all():
            return self
        weights = None if self.weights is None else self.weights[known] / max(self.weights[known].sum(), 1e-300)
        moments = np.arange(self.rows, dtype=np.float64) if self.times is None else self.times
        return Side(int(known.sum()), moments[known], None if self.cells is None else self.cells[known], weights)

    def worth(self) -> float:
        """Return how many equally weighted rows are worth as much (Kish 1965)."""
        return float(self.rows) if self.weights is None else float(1.0 / np.sum(self.weights**2))


@dataclass(frozen=True)
class EffectiveRows:
    """Independent rows that each side is worth; `blocks` is the number of blocks of the measurement, 0 for none."""

    reference: float
    batch: float
    blocks: int

    def honest(self, p: float) -> float:
        """Correct a p from these rows with Student's tail, since few blocks give the variance."""
        if not self.blocks:
            return p
        return 2.0 * students_t.tail(-students_t.normal_quantile(max(p, 1e-300) / 2.0), self.blocks - 2)


def effective_rows(
    reference: Integers, batch: Integers, bins: int, sides: tuple[Side, Side], cumulative: bool
) -> EffectiveRows:
    """Return effective rows for shares of codes 0..bins-1 (rows,), or for the cumulative shares.

    If neither side is autocorrelated (Politis & White's block length is 1), rows count in full. Else both sides are cut
    into blocks of the same duration: at least a block length, and at most as long as the batch. The correlation within
    blocks gives each side's design effect 1 + (n - 1) rho (Kish 1965, "Survey sampling"). The share with the greatest
    effect counts. So a batch that is shorter than a block is compared with stretches of the reference of the same
    length. A reference thinned by sampling works as well, if times are given. Without times the rows of both sides
    count as equally far apart, and the side with the greater autocorrelation decides.
    """
    codes = (reference, batch)
    plain = EffectiveRows(sides[0].worth(), sides[1].worth(), 0)
    cells = [np.zeros(side.rows, dtype=np.int64) if side.cells is None else side.cells for side in sides]
    expected = _by_cell(reference, bins, cells)
    means = expected @ np.arange(bins)
    lengths = [block_length((code - means[cell])[-_ROWS_LOOKED_AT:]) for code, cell in zip(codes, cells, strict=True)]
    if max(lengths) == 1 or bins < 2:
        return plain
    blocks = _blocks(sides, lengths)
    found = [
        _correlation_within(code, expected, cell, block, cumulative)
        for code, cell, block in zip(codes, cells, blocks, strict=True)
    ]
    measured = [each for each in found if each is not None]
    if not measured:  # rows are autocorrelated, and no block holds two of them to measure how much
        return EffectiveRows(plain.reference, plain.batch, 1)
    within = _combined(measured, timed=sides[0].times is not None)
    sizes = [np.bincount(block).astype(np.float64) for block in blocks]
    effects = [1.0 + within * (float(np.sum(size**2) / size.sum()) - 1.0) for size in sizes]
    used = sum(int(np.count_nonzero(size)) for size in sizes)
    return EffectiveRows(plain.reference / effects[0], plain.batch / effects[1], used)


def _blocks(sides: tuple[Side, Side], lengths: list[int]) -> list[Integers]:
    """Return the block that each row of each side belongs to."""
    moments = [np.arange(side.rows, dtype=np.float64) if side.times is None else side.times for side in sides]
    spans = [float(moment.max() - moment.min()) * len(moment) / max(len(moment) - 1, 1) for moment in moments]
    wanted = max(
        span * length / len(moment) if length > 1 else 0.0
        for span, length, moment in zip(spans, lengths, moments, strict=True)
    )
    count = max(1, int(spans[1] / wanted)) if wanted else 1
    width = (spans[1] / count if spans[1] else wanted) or spans[0] or 1.0
    numbers = [((moment - moment.min()) / width * (1.0 - 1e-9)).astype(np.int64) for moment in moments]
    # a stretch without rows is not a block: a batch of minutes would cut a reference of years into millions
    return [np.unique(number, return_inverse=True)[1].astype(np.int64) for number in numbers]


@dataclass(frozen=True)
class _Within:
    """For one side: correlation of two rows of a block and variance, by share (bins,); blocks less one."""

    correlation: Floats
    variance: Floats
    freedom: int


def _correlation_within(
    codes: Integers, expected: Floats, cell: Integers, block: Integers, cumulative: bool
) -> _Within | None:
    (cells, bins), count, rows = expected.shape, int(block.max()) + 1, len(codes)
    table = np.bincount(block * bins + codes, minlength=count * bins).reshape(count, bins).astype(np.float64)
    inside = np.bincount(block * cells + cell, minlength=count * cells).reshape(count, cells).astype(np.float64)
    sizes = table.sum(axis=1)
    used, pairs = int(np.count_nonzero(sizes)), float(np.sum(sizes**2)) - rows
    if used < 2 or pairs <= 0:
        return None
    if cumulative:
        table, expected = table.cumsum(axis=1)[:, :-1], expected.cumsum(axis=1)[:, :-1]
    variance = inside.sum(axis=0) / rows @ (expected * (1.0 - expected))
    surplus = table - inside @ expected
    surplus -= np.outer(sizes, surplus.sum(axis=0) / rows)
    square = (surplus**2).sum(axis=0) * used / (used - 1)
    return _Within((square / np.maximum(variance, 1e-9) - rows) / pairs, variance, used - 1)


def _combined(found: list[_Within], timed: bool) -> float:
    """Return the greatest correlation over the shares, at least 0."""
    freedom = [each.freedom for each in found]
    sides = np.array([each.correlation for each in found])
    correlation = np.average(sides, axis=0, weights=freedom) if timed else sides.max(axis=0)
    variance = np.average([each.variance for each in found], axis=0, weights=freedom)
    # shares near 0 or 1 carry little of the difference, and their correlation is mostly noise
    return float(np.clip(correlation[variance >= 0.5 * variance.max()].max(), 0.0, 1.0))


def _by_cell(codes: Integers, bins: int, cells: list[Integers]) -> Floats:
    """Return the shares of the reference's codes within each season cell (cells, bins)."""
    count = max(int(cell.max()) for cell in cells) + 1
    table = np.bincount(cells[0] * bins + codes, minlength=count * bins).reshape(count, bins)
    return np.asarray(table / np.maximum(table.sum(axis=1, keepdims=True), 1), dtype=np.float64)
