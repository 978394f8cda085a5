"""The tail of a statistic under no change, drawn from the rows of all segments: few rows of one do not show it."""

from __future__ import annotations

from collections.abc import Iterable

from mlops_assets.lazy import np
from mlops_assets.statistics.arrays import Floats

_TAIL = (10, 400)


def pool(parts: Iterable[Floats]) -> Floats:
    """Return the rows of all segments without their means, on one scale, which a few great values do not set."""
    scaled = []
    for part in parts:
        spread = float(np.median(np.abs(part - np.median(part)))) or float(part.std()) or 1.0
        scaled.append((part - part.mean()) / spread)
    pooled = np.concatenate(scaled)
    return np.asarray(pooled - pooled.mean())


def share_below(p: Floats, drawn: Floats) -> Floats:
    """Return the share of drawn p-values (m,), sorted, below each p; beyond their tail by a line through it."""
    floor = 1e-300
    x, y = np.log(np.maximum(drawn, floor)), np.log(np.arange(1, len(drawn) + 1) / (len(drawn) + 1))
    first, last = _TAIL
    slope = 1.0
    if x[last] > x[first]:
        slope = min(1.0, float(np.polyfit(x[first:last], y[first:last], 1)[0]))
    asked = np.log(np.maximum(p, floor))
    return np.exp(np.where(asked < x[last], y[last] + slope * (asked - x[last]), np.interp(asked, x, y)))
