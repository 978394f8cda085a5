"""Student's t for single numbers, by the functions of `scipy.special`: those of `scipy.stats` check each argument."""

from mlops_assets.lazy import scipy


def quantile(share: float, freedom: float) -> float:
    """Return the value that has this share of Student's t distribution below it."""
    return float(scipy.special.stdtrit(freedom, share))


def tail(value: float, freedom: float) -> float:
    """Return the share of Student's t distribution above a value."""
    return float(scipy.special.stdtr(freedom, -value))


def normal_quantile(share: float) -> float:
    """Return the value that has this share of the standard normal distribution below it."""
    return float(scipy.special.ndtri(share))
