"""Student's t for single numbers, by scipy's own functions: `scipy.stats` takes a hundred times as long for each."""


def quantile(share: float, freedom: float) -> float:
    """The value that a share of the distribution lies below."""
    from scipy import special

    return float(special.stdtrit(freedom, share))


def tail(value: float, freedom: float) -> float:
    """The share of the distribution that lies above a value."""
    from scipy import special

    return float(special.stdtr(freedom, -value))


def normal_quantile(share: float) -> float:
    """What `quantile` comes to where the degrees of freedom are many."""
    from scipy import special

    return float(special.ndtri(share))
