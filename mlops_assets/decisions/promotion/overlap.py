"""Holdout rows that are among the training rows as well: a memorised row is no evidence of a good prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlops_assets.checks import CheckOutcome
from mlops_assets.lazy import np, pd
from mlops_assets.statistics.arrays import Integers

_LEAST_SHARE = 0.01
_SIGMAS = 3.0
_EXAMPLES = 5


@dataclass(frozen=True)
class Overlap:
    """The positions of `twins` among `rows` holdout rows: they equal a row in train; `expected` twins by chance.

    `suspicious`: the count exceeds the expected one by 1% of the holdout and by three standard deviations.
    """

    twins: Integers
    expected: float
    rows: int
    suspicious: bool


def overlap(train: pd.DataFrame, holdout: pd.DataFrame) -> Overlap:
    """Count holdout rows (m, columns) that equal a train row (n, columns) in every column, features and target.

    Rows are in order of time. Discrete rows have genuine twins, most of them close in time, so train gives the number
    expected by chance. It is the share of train rows with a twin outside their own stretch of m rows (at most n / 2).
    Times n / (n - m), since a share of rows with twins grows at most in proportion to the searched rows. Both counts
    vary by chance; twins in train are counted in pairs, which doubles the variance.
    """
    n, m = len(train), len(holdout)
    hashes = _hashes(train, holdout)
    twins = np.flatnonzero(np.isin(hashes[n:], hashes[:n]))
    stretch = max(1, min(m, n // 2))
    more = n / max(n - stretch, 1)
    expected = m * min(1.0, more * _share_with_distant_twins(hashes[:n], stretch))
    sigma = float(np.sqrt((expected + 1.0) * (1.0 + 2.0 * more * m / max(n, 1))))
    suspicious = len(twins) - expected > max(_SIGMAS * sigma, _LEAST_SHARE * m)
    return Overlap(twins, expected, m, suspicious)


def no_overlap(train: pd.DataFrame, holdout: pd.DataFrame) -> CheckOutcome:
    """Check that no more holdout rows have a twin in train than chance explains; see `overlap`. A warning."""
    result = overlap(train, holdout)
    twins, rows = len(result.twins), max(result.rows, 1)
    message = (
        f"{twins:,} of {result.rows:,} holdout rows ({twins / rows:.1%}) equal a training row in features and target; "
        f"{result.expected / rows:.1%} are expected, from the twins among the training rows"
    )
    if result.suspicious:
        message += (
            ". The holdout flatters the model: look for rows that were delivered twice, and declare `key` so that they "
            "are found"
        )
    metadata: dict[str, Any] = {"rows": twins, "share": twins / rows, "expected_share": result.expected / rows}
    if twins:
        metadata["examples"] = [{"holdout row": position} for position in result.twins[:_EXAMPLES].tolist()]
    passed = not result.suspicious
    return CheckOutcome("no_overlap", passed, message, severity="warn", blocking=False, metadata=metadata)


def _share_with_distant_twins(hashes: np.ndarray, stretch: int) -> float:
    """Return the share of rows (n,) with a twin in another stretch of rows."""
    n = len(hashes)
    stretches = (n - 1 - np.arange(n)) // stretch
    value = np.unique(hashes, return_inverse=True)[1]
    everywhere = np.bincount(value)[value]
    pair = value * (int(stretches.max(initial=0)) + 1) + stretches
    place, times = np.unique(pair, return_inverse=True, return_counts=True)[1:]
    return float(np.mean(everywhere > times[place])) if n else 0.0


def _hashes(train: pd.DataFrame, holdout: pd.DataFrame) -> np.ndarray:
    """Return one number for each row of both; numbers count by value, whatever their type, and all else as text."""
    rows = pd.concat([train, holdout[list(train.columns)]], ignore_index=True)
    plain = {
        position: column.to_numpy(dtype=np.float64, na_value=np.nan) + 0.0  # -0.0 is 0.0
        if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)
        else pd.factorize(column)[0]
        for position, (_, column) in enumerate(rows.items())
    }
    return np.asarray(pd.util.hash_pandas_object(pd.DataFrame(plain), index=False))
