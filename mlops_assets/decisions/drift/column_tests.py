"""The two-sample tests of drift, one column at a time: distribution, shares of categories, share of missing values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from mlops_assets.lazy import np, pd, scipy
from mlops_assets.statistics.effective_rows import FEWEST_BLOCKS, EffectiveRows, Floats, Integers, Side, effective_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

Word = Literal["drift", "no drift", "unknown"]
Kind = Literal["numeric", "categorical", "missing share", "prediction", "target", "together"]
Sides = tuple[Side, Side]

_FEW_VALUES = 10
_MIN_EXPECTED = 5.0
_MOST_CATEGORIES = 100
_BINS = 16
_NAN = float("nan")


@dataclass(frozen=True)
class FeatureDrift:
    """One feature of the batch against the reference.

    `effect` lies between 0 and 1. Numeric: the Kolmogorov-Smirnov statistic, the greatest difference of the cumulative
    distributions. Categorical: the total variation distance, the share of rows that would have to change their
    category. Missing share: the difference of the shares. Together: 2 AUC - 1 of a classifier that separates the sides.
    `weight` is the feature's weight in the correction, from its importance.
    """

    feature: str
    kind: Kind
    test: str
    p: float
    p_adjusted: float
    effect: float
    verdict: Word
    note: str = ""
    weight: float = 1.0


def tested(name: str, kind: Kind, test: str, p: float, effect: float, note: str = "") -> FeatureDrift:
    """Return an entry with its p, before the correction for many tests."""
    return FeatureDrift(name, kind, test, min(max(p, 0.0), 1.0), _NAN, effect, "no drift", note)


def unknown(name: str, note: str, kind: Kind = "numeric") -> FeatureDrift:
    """Return an entry without a result."""
    return FeatureDrift(name, kind, "none", _NAN, _NAN, _NAN, "unknown", note)


def column_entries(
    name: str, old: pd.Series[Any], new: pd.Series[Any], sides: Sides, min_rows: int
) -> list[FeatureDrift]:
    """Return a column's entries: its distribution, or what is derived from it, and its missing share if not zero."""
    old, new = _plain(old), _plain(new)
    if pd.api.types.is_datetime64_any_dtype(old) and pd.api.types.is_datetime64_any_dtype(new):
        entries = _calendar(name, old, new, sides, min_rows)
    else:
        entries = [_distribution(name, old, new, sides, min_rows)]
    gone = (old.isna().to_numpy(), new.isna().to_numpy())
    if (gone[0].any() or gone[1].any()) and min(len(old), len(new)) >= min_rows:
        entries.append(_missing(name, gone, sides))
    return entries


def _calendar(name: str, old: pd.Series[Any], new: pd.Series[Any], sides: Sides, min_rows: int) -> list[FeatureDrift]:
    """Test hour and weekday of times; the time itself is not tested, since it always moves on."""
    parts = [("hour", old.dt.hour, new.dt.hour), ("weekday", old.dt.weekday, new.dt.weekday)]
    entries = []
    for part, before, after in parts:
        found = _distribution(
            f"{name} ({part})", before.astype("Float64"), after.astype("Float64"), sides, min_rows, 24
        )
        note = found.note or "the moment itself always moves and is not tested"
        entries.append(replace(found, note=note, kind="categorical"))
    return entries


def _distribution(
    name: str, old: pd.Series[Any], new: pd.Series[Any], sides: Sides, min_rows: int, few: int = _FEW_VALUES
) -> FeatureDrift:
    known = (old.notna().to_numpy(), new.notna().to_numpy())
    for where, there in zip(("reference", "batch"), known, strict=True):
        if there.sum() < min_rows:
            what = "all values are missing" if len(there) and not there.any() else f"{there.sum()} values are too few"
            return unknown(name, f"{what} in the {where}; at least {min_rows} are needed")
    kinds = (_kind(old), _kind(new))
    if kinds[0] != kinds[1]:
        return unknown(name, f"the reference holds {kinds[0]} values, the batch {kinds[1]} values")
    sides = (sides[0].of(known[0]), sides[1].of(known[1]))
    if not known[0].all():
        old = old[known[0]]
    if not known[1].all():
        new = new[known[1]]
    if kinds[0] == "text":
        return _categories(name, old.astype(str).to_numpy(), new.astype(str).to_numpy(), sides)
    numbers = (old.to_numpy(dtype=np.float64), new.to_numpy(dtype=np.float64))
    ordered = (np.sort(numbers[0]), np.sort(numbers[1]))
    if max(map(_distinct, ordered)) <= few and len(np.union1d(*map(np.unique, ordered))) <= few:
        return _categories(name, *numbers, sides)
    return _kolmogorov_smirnov(name, numbers, ordered, sides)


def _plain(values: pd.Series[Any]) -> pd.Series[Any]:
    """Convert booleans and numbers with gaps, which pandas may keep as objects, to numbers."""
    numbers = ("boolean", "integer", "floating", "mixed-integer-float")
    if values.dtype == object and pd.api.types.infer_dtype(values, skipna=True) in numbers:
        return values.astype("Float64")
    return values


def _kind(values: pd.Series[Any]) -> str:
    if pd.api.types.is_datetime64_any_dtype(values):
        return "time"
    if pd.api.types.is_bool_dtype(values) or pd.api.types.is_numeric_dtype(values):
        return "numeric"
    return "text"


def _distinct(ordered: Floats) -> int:
    return 1 + int(np.count_nonzero(ordered[1:] != ordered[:-1]))


def _kolmogorov_smirnov(
    name: str, numbers: tuple[Floats, Floats], ordered: tuple[Floats, Floats], sides: Sides
) -> FeatureDrift:
    distance = _greatest_difference(numbers[0], ordered, sides[0].weights)
    cuts = np.unique(ordered[0][np.arange(1, _BINS) * len(ordered[0]) // _BINS])
    codes = [np.searchsorted(cuts, side, side="left") for side in numbers]
    rows = effective_rows(codes[0], codes[1], len(cuts) + 1, sides, cumulative=True)
    pooled = 1.0 / (1.0 / rows.reference + 1.0 / rows.batch)
    # the one-sample distribution does not know D = 1: p is at least that of two sides without overlap
    apart = (rows.reference + rows.batch + 1.0) * scipy.special.beta(rows.reference + 1.0, rows.batch + 1.0)
    p = max(float(scipy.stats.kstwo.sf(distance, max(1, round(pooled)))), min(2.0 * float(apart), 1.0))
    return _in_time(tested(name, "numeric", "Kolmogorov-Smirnov", p, distance), rows)


def _greatest_difference(reference: Floats, ordered: tuple[Floats, Floats], weights: Floats | None) -> float:
    """Return the Kolmogorov-Smirnov statistic: the greatest distance is at a step of the shorter side."""
    reached = [np.arange(len(side) + 1) / len(side) for side in ordered]
    if weights is not None:
        reached[0] = np.concatenate([[0.0], np.cumsum(weights[np.argsort(reference, kind="stable")])])
    short = 0 if len(ordered[0]) <= len(ordered[1]) else 1
    at = ordered[short]
    first = np.flatnonzero(np.concatenate([[True], at[1:] != at[:-1]]))
    after = np.append(first[1:], len(at))
    other, shares = ordered[1 - short], reached[1 - short]
    before = np.abs(reached[short][first] - shares[np.searchsorted(other, at[first], side="left")])
    since = np.abs(reached[short][after] - shares[np.searchsorted(other, at[first], side="right")])
    return float(max(before.max(), since.max()))


def _categories(name: str, old: NDArray[Any], new: NDArray[Any], sides: Sides) -> FeatureDrift:
    codes, values = pd.factorize(np.concatenate([old, new]))
    rows, count = (len(old), len(new)), len(values)
    counts = np.array(
        [np.bincount(codes[: rows[0]], minlength=count), np.bincount(codes[rows[0] :], minlength=count)],
        dtype=np.float64,
    )
    unseen = float(counts[1][counts[0] == 0].sum() / rows[1])
    note = f"{unseen:.1%} of the rows are of a category never seen" if unseen else ""
    rare = counts.sum(axis=0) * min(rows) / sum(rows) < _MIN_EXPECTED
    if rare.all() and count > 1:
        if old.dtype == np.float64:
            numbers = (old.astype(np.float64), new.astype(np.float64))
            return _kolmogorov_smirnov(name, numbers, (np.sort(numbers[0]), np.sort(numbers[1])), sides)
        return _lengths(name, old, new, sides, count)
    order = np.argsort(np.where(rare, np.inf, -counts.sum(axis=0)), kind="stable")[:_MOST_CATEGORIES]
    position = np.full(count, min(int((~rare).sum()), _MOST_CATEGORIES))
    position[order] = np.minimum(np.arange(len(order)), position[order])
    codes = position[codes].astype(np.int64)
    bins = int(codes.max()) + 1
    if bins < 2:
        return tested(name, "categorical", "chi-squared", 1.0, 0.0, note or "one value throughout")
    p, effect, test, worth = _shares_differ(codes[: rows[0]], codes[rows[0] :], bins, sides)
    return _in_time(tested(name, "categorical", test, p, effect, note), worth)


def _lengths(name: str, old: NDArray[Any], new: NDArray[Any], sides: Sides, count: int) -> FeatureDrift:
    """Test texts that hardly repeat by their length."""
    numbers = (
        np.array([len(text) for text in old], dtype=np.float64),
        np.array([len(text) for text in new], dtype=np.float64),
    )
    ordered = (np.sort(numbers[0]), np.sort(numbers[1]))
    if len(np.union1d(*ordered)) <= _FEW_VALUES:
        entry = _categories(name, *numbers, sides)
    else:
        entry = _kolmogorov_smirnov(name, numbers, ordered, sides)
    note = f"{count:,} texts, each too rare to be compared: their lengths are"
    return replace(entry, feature=f"{name} (length)", kind="numeric", note=entry.note or note)


def _shares_differ(old: Integers, new: Integers, bins: int, sides: Sides) -> tuple[float, float, str, EffectiveRows]:
    """Return p, total variation distance, name of the test and effective rows for codes 0..bins-1 of both sides."""
    worth = effective_rows(old, new, bins, sides, cumulative=False)
    shares = np.array(
        [np.bincount(old, sides[0].weights, minlength=bins), np.bincount(new, minlength=bins)], dtype=float
    )
    shares /= shares.sum(axis=1, keepdims=True)
    counts = shares * np.array([[worth.reference], [worth.batch]])
    effect = float(np.abs(shares[0] - shares[1]).sum() / 2)
    if bins == 2:
        whole = np.rint(counts).astype(np.int64)
        return float(scipy.stats.fisher_exact(whole).pvalue), effect, "Fisher's exact", worth
    if worth.blocks or sides[0].weights is not None:
        rare = counts.sum(axis=0) * min(worth.reference, worth.batch) / counts.sum() < _MIN_EXPECTED
        if rare.any():
            counts = np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)])
    counts = counts[:, counts.sum(axis=0) > 0]
    if counts.shape[1] < 2:
        return 1.0, effect, "chi-squared", worth
    # Pearson's statistic overstates many rows in a rare category, the likelihood ratio the absence of rows
    kinds: tuple[Literal["pearson", "log-likelihood"], ...] = ("pearson", "log-likelihood")
    p = max(float(scipy.stats.chi2_contingency(counts, correction=False, lambda_=kind).pvalue) for kind in kinds)
    return p, effect, "chi-squared", worth


def _missing(name: str, gone: tuple[NDArray[np.bool_], NDArray[np.bool_]], sides: Sides) -> FeatureDrift:
    shares = (float(gone[0].mean()), float(gone[1].mean()))
    p, effect, test, worth = _shares_differ(gone[0].astype(np.int64), gone[1].astype(np.int64), 2, sides)
    note = f"{shares[0]:.1%} missing in the reference, {shares[1]:.1%} in the batch"
    return _in_time(tested(f"{name} (missing)", "missing share", test, p, effect, note), worth)


def _in_time(entry: FeatureDrift, rows: EffectiveRows) -> FeatureDrift:
    """Return the entry with p and note corrected for autocorrelated rows."""
    if not rows.blocks:
        return entry
    if rows.blocks < FEWEST_BLOCKS:
        note = f"rows hang together over long stretches: only {rows.blocks} blocks, at least {FEWEST_BLOCKS} are needed"
        return unknown(entry.feature, note, entry.kind)
    note = f"rows hang together: the batch is worth {rows.batch:,.0f} independent rows"
    return replace(entry, p=rows.honest(entry.p), note="; ".join(filter(None, [entry.note, note])))
