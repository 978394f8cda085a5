"""The standard error of a mean over rows that are autocorrelated in time."""

from __future__ import annotations

from mlops_assets.lazy import np, scipy
from mlops_assets.statistics.arrays import Floats
from mlops_assets.statistics.resampling import block_length


def error_of_mean(series: Floats) -> tuple[float, float]:
    """Return the standard error of the mean of a series (n,) in order of time and its t statistic's degrees of freedom.

    The largest applicable error of three. Always: that of independent rows. If the first autocorrelation r is more than
    noise: that of a first-order autoregression, sqrt((1 + r) / (1 - r)) times as much, r without its bias (Kendall
    1954). If `block_length` exceeds 1: the root of the long-run variance from B = 0.4 n^(2/3) equally weighted cosines,
    with B degrees of freedom (Lazarus, Lewis, Stock & Watson 2018, "HAR inference: recommendations for practice"). The
    cosines alone are too small for long memory in few rows, the autoregression for memory of another form.

    Promotions of equal models at 5%, simulated with normal row differences of autocorrelation 0, 0.2, 0.5, 0.7, 0.9:
    4.9, 4.9, 3.9, 4.5, 6.5% at 200 rows, 5.0, 4.3, 4.3, 4.7, 5.2% at 1,000.
    """
    n = len(series)
    centred = series - series.mean()
    variance = float(np.sum(centred**2))
    if variance == 0.0:
        return 0.0, n - 1
    error = float(np.sqrt(variance / (n - 1) / n))
    first = float(np.sum(centred[1:] * centred[:-1])) / variance
    if first > 1 / np.sqrt(n):
        r = min(first + (1 + 3 * first) / n, 0.97)
        error *= float(np.sqrt((1 + r) / (1 - r)))
    if block_length(series) == 1:
        return error, float(n - 1)
    cosines = max(1, int(0.4 * n ** (2 / 3)))
    long_run = float(np.mean(scipy.fft.dct(centred, 2, norm="ortho")[1 : cosines + 1] ** 2))
    return max(error, float(np.sqrt(long_run / n))), float(cosines)
