"""Block bootstrap of row losses: rows near in time are autocorrelated, so whole blocks are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

from mlops_assets.lazy import np, scipy

if TYPE_CHECKING:
    from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float64]"

_MOST_BLOCKS = 10_000
_CELLS = 2_000_000
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
    taper = np.minimum(1.0, 2.0 * (1.0 - k / width))
    slope = 2.0 * float(np.sum(taper * k * covariance[1 : width + 1]))
    long_run = float(covariance[0] + 2.0 * np.sum(taper * covariance[1 : width + 1]))
    if last == 0 or long_run <= 0:
        return 1
    best = (2.0 * slope**2 / (4.0 / 3.0 * long_run**2)) ** (1.0 / 3.0) * n ** (1.0 / 3.0)
    return int(max(1, min(np.ceil(best), np.ceil(min(3.0 * np.sqrt(n), n / 3.0)))))


def cautious_block(series: Floats) -> int:
    """Return the block length to use for a series (n,): twice `block_length` if rows are autocorrelated.

    With the length itself, equal models differ "significantly" at 5% in 8.6% of simulations (1,000 rows,
    autocorrelation 0.9); with twice the length in 7.0%. At 200 rows and 0.8: 7.4% and 5.4%.
    """
    best = block_length(series)
    return usable_block(best if best == 1 else min(2 * best, -(-len(series) // 3)), len(series))


def usable_block(block: int, rows: int) -> int:
    """Return the block length for at most 10,000 blocks: longer blocks stay valid, and the work stays bounded."""
    return int(min(max(block, -(-rows // _MOST_BLOCKS), 1), rows))


def resampled_means(columns: Floats, block: int, resamples: int, seed: int) -> Floats:
    """Return means (resamples, k) of circular block resamples; columns (n, k) are drawn together."""
    n, k = columns.shape
    whole, rest = divmod(n, block)
    of_block = [_running_sums(column, block) for column in columns.T]
    of_rest = [_running_sums(column, rest) for column in columns.T] if rest else []
    means = np.empty((resamples, k))
    done = 0
    for starts in _starts(n, whole + (rest > 0), resamples, seed):
        part = means[done : done + len(starts)]
        for column in range(k):
            part[:, column] = of_block[column][starts[:, :whole]].sum(axis=1)
            if rest:
                part[:, column] += of_rest[column][starts[:, -1]]
        done += len(starts)
    return np.asarray(means / n)


def _running_sums(column: Floats, length: int) -> Floats:
    """Return the sum of `length` values from each position on (n,), wrapping around at the end."""
    if length == 1:
        return np.ascontiguousarray(column)
    sums = np.concatenate([[0.0], np.cumsum(np.concatenate([column, column[:length]]))])
    return np.asarray(sums[length : len(column) + length] - sums[: len(column)])


def resampled_rows(rows: int, block: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield the row positions (rows,) of each circular block resample."""
    for starts in _starts(rows, -(-rows // block), resamples, seed):
        for start in starts:
            yield ((start[:, None] + np.arange(block)).ravel()[:rows]) % rows


def resampled_weights(rows: int, block: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield how often each row is in each circular block resample, some resamples (m, rows) at a time."""
    whole, rest = divmod(rows, block)
    for starts in _starts(rows, whole + (rest > 0), resamples, seed):
        for part in few_at_a_time(starts, rows):
            weights = _covered(part[:, :whole], block, rows)
            yield weights + _covered(part[:, whole:], rest, rows) if rest else weights


def few_at_a_time(drawn: NDArray[np.int64], rows: int) -> Iterator[NDArray[np.int64]]:
    """Yield the resamples (m, k) in parts whose weights (m, rows) fit into the processor's cache."""
    at_once = max(1, _CELLS_IN_CACHE // rows)
    for first in range(0, len(drawn), at_once):
        yield drawn[first : first + at_once]


def counts(drawn: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Return how often each of `size` numbers is in each row of `drawn` (m, k), as (m, size)."""
    m = len(drawn)
    return np.bincount((drawn + size * np.arange(m)[:, None]).ravel(), minlength=m * size).reshape(m, size)


def _covered(starts: NDArray[np.int64], length: int, rows: int) -> Floats:
    begun = counts(starts, rows)
    if length > 1:
        running = np.cumsum(np.hstack([begun[:, rows - length :], begun]), axis=1)
        begun = running[:, length:] - running[:, :-length]
    return begun.astype(np.float64)


def block_error(series: Floats, block: int) -> float:
    """Return the exact standard deviation of the mean of a series (n,) over its circular block resamples."""
    sums = np.concatenate([[0.0], np.cumsum(np.concatenate([series, series[:block]]) - series.mean())])
    n = len(series)
    whole, rest = divmod(n, block)
    of_rest = float(np.mean((sums[rest : n + rest] - sums[:n]) ** 2)) if rest else 0.0
    return float(np.sqrt(whole * np.mean((sums[block : n + block] - sums[:n]) ** 2) + of_rest)) / n


def _starts(rows: int, blocks: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    draw = np.random.default_rng(seed)
    at_once = max(1, _CELLS // max(blocks, 1))
    for first in range(0, resamples, at_once):
        yield draw.integers(0, rows, size=(min(at_once, resamples - first), blocks))
