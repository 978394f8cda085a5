"""Block bootstrap of row losses: rows near in time are autocorrelated, so whole blocks are drawn."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from mlops_assets.lazy import np, scipy
from mlops_assets.statistics.arrays import Floats, Integers

Seed: TypeAlias = "int | np.random.Generator"
"""Where draws begin: a seed, or a generator that goes on from where it is."""

_MOST_BLOCKS = 10_000
_CELLS_IN_CACHE = 100_000


def block_length(series: Floats) -> int:
    """Return the block length that suits the autocorrelation of a series (n,), in rows; 1 without autocorrelation.

    Politis & White (2004), "Automatic block-length selection for the dependent bootstrap", for the circular bootstrap,
    with the correction of Patton, Politis & White (2009). At most min(3 sqrt(n), n / 3).
    """
    n = len(series)
    centred = series - series.mean()
    if n < 8 or not np.any(np.abs(centred) > 1e-12 * (1.0 + np.abs(series).max())):
        return 1
    run = max(5, int(np.sqrt(np.log10(n))))
    lags = min(int(np.ceil(np.sqrt(n))) + run, n - 1)
    size = scipy.fft.next_fast_len(n + lags, real=True)
    spectrum = np.abs(np.fft.rfft(centred, size)) ** 2
    covariance = np.fft.irfft(spectrum, size)[: lags + 1] / n
    small = np.abs(covariance[1:] / covariance[0]) < 2.0 * np.sqrt(np.log10(n) / n)
    quiet = np.flatnonzero(np.lib.stride_tricks.sliding_window_view(small, run).all(axis=1))
    last = int(quiet[0]) if len(quiet) else int(np.flatnonzero(~small)[-1]) + 1
    width = min(2 * max(last, 1), lags)
    k = np.arange(1, width + 1)
    tapered = np.minimum(1.0, 2.0 * (1.0 - k / width)) * covariance[1 : width + 1]
    long_run = float(covariance[0] + 2.0 * np.sum(tapered))
    if last == 0 or long_run <= 0:
        return 1
    slope = 2.0 * float(np.sum(k * tapered))
    best = (2.0 * slope**2 / (4.0 / 3.0 * long_run**2)) ** (1.0 / 3.0) * n ** (1.0 / 3.0)
    return int(max(1, min(np.ceil(best), np.ceil(min(3.0 * np.sqrt(n), n / 3.0)))))


def cautious_block(series: Floats) -> int:
    """Return the block length to use for a series (n,): twice `block_length` if rows are autocorrelated.

    With the length itself, equal models differ "significantly" at 5% in 8.6% of simulations (1,000 rows,
    autocorrelation 0.9); with twice the length in 7.0%. At 200 rows and 0.8: 7.4% and 5.4%. There are at most 10,000
    blocks: longer blocks stay valid, and the work stays bounded.
    """
    rows, best = len(series), block_length(series)
    return max(best if best == 1 else min(2 * best, -(-rows // 3)), -(-rows // _MOST_BLOCKS))


@dataclass(frozen=True)
class Blocks:
    """Circular blocks of neighbouring rows, drawn from n `rows` in order of time; with a `length` of 1, single rows."""

    rows: int
    length: int

    def means(self, columns: Floats, resamples: int, seed: Seed) -> Floats:
        """Return means (resamples, k) over resamples; columns (n, k) are drawn together."""
        whole, rest = divmod(self.rows, self.length)
        sums = [(_running_sums(column, self.length), _running_sums(column, rest)) for column in columns.T]
        parts = [
            np.column_stack(
                [block[starts[:, :whole]].sum(axis=1) + end[starts[:, whole:]].sum(axis=1) for block, end in sums]
            )
            for starts in self.drawn(resamples, seed)
        ]
        return np.concatenate(parts) / self.rows

    def weights(self, resamples: int, seed: Seed) -> Iterator[Floats]:
        """Yield how often each row is in each resample, some resamples (m, n) at a time."""
        whole, rest = divmod(self.rows, self.length)
        for starts in self.drawn(resamples, seed):
            weights = _coverage(starts[:, :whole], self.length, self.rows)
            yield weights + _coverage(starts[:, whole:], rest, self.rows) if rest else weights

    def spread_of_mean(self, series: Floats) -> float:
        """Return the exact standard deviation of the mean of a series (n,) over all resamples."""
        whole, rest = divmod(self.rows, self.length)
        squares = [np.mean(_running_sums(series - series.mean(), length) ** 2) for length in (self.length, rest)]
        return float(np.sqrt(whole * squares[0] + squares[1])) / self.rows

    def drawn(self, resamples: int, seed: Seed) -> Iterator[Integers]:
        """Yield the first rows of the blocks of each resample, some resamples (m, blocks) at a time."""
        return draws(self.rows, -(-self.rows // self.length), self.rows, resamples, seed)


class Resampling(Protocol):
    """What is drawn in a resample: blocks of rows, or groups."""

    def drawn(self, resamples: int, seed: Seed) -> Iterator[Integers]:
        """Yield the numbers of each resample."""


def in_parts(units: Resampling, resamples: int, seed: int, size: int) -> Iterator[tuple[int, np.random.Generator]]:
    """Yield `size` resamples and a generator, again and again: its draws are those that one generator makes in turn."""
    generator = np.random.default_rng(seed)
    for first in range(0, resamples, size):
        count = min(size, resamples - first)
        yield count, copy.deepcopy(generator)
        for _ in units.drawn(count, generator):
            pass


def draws(below: int, size: int, rows: int, resamples: int, seed: Seed) -> Iterator[Integers]:
    """Yield `size` numbers below `below` for each resample, in parts (m, size) of which (m, rows) fits into a cache."""
    generator, at_once = np.random.default_rng(seed), max(1, _CELLS_IN_CACHE // rows)
    for first in range(0, resamples, at_once):
        yield generator.integers(0, below, size=(min(at_once, resamples - first), size))


def counts(drawn: Integers, size: int) -> Integers:
    """Return how often each of `size` numbers is in each row of `drawn` (m, k), as (m, size)."""
    m = len(drawn)
    return np.bincount((drawn + size * np.arange(m)[:, None]).ravel(), minlength=m * size).reshape(m, size)


def _running_sums(column: Floats, length: int) -> Floats:
    """Return the sum of `length` values from each position on (n,), wrapping around at the end."""
    if length == 1:
        return np.ascontiguousarray(column)
    sums = np.concatenate([[0.0], np.cumsum(np.concatenate([column, column[:length]]))])
    return np.asarray(sums[length : len(column) + length] - sums[: len(column)])


def _coverage(starts: Integers, length: int, rows: int) -> Floats:
    begins = counts(starts, rows)
    if length > 1:
        running = np.cumsum(np.hstack([begins[:, rows - length :], begins]), axis=1)
        begins = running[:, length:] - running[:, :-length]
    return begins.astype(np.float64)
