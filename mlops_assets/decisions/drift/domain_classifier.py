"""Whether a classifier separates the rows of a batch from the reference: drift that no single feature shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlops_assets.decisions.drift.column_tests import FEWEST_ROWS, FeatureDrift, Sides, test_entry, unknown_entry
from mlops_assets.decisions.drift.season import UsedRows
from mlops_assets.lazy import np, pd, scipy, sklearn
from mlops_assets.statistics.arrays import Floats
from mlops_assets.statistics.effective_rows import FEWEST_BLOCKS, effective_rows

NAME = "all features together"

_MOST_ROWS = 5_000
_MOST_COLUMNS = 100
_FEWEST_EFFECTIVE_ROWS = 20.0
_MOST_CATEGORIES = 100
_BINS = 16


def together_entry(
    reference: pd.DataFrame,
    batch: pd.DataFrame,
    names: Sequence[str],
    rows: UsedRows,
    importance: Mapping[str, float],
    seed: int,
) -> FeatureDrift:
    """Return the area under the ROC curve of a domain classifier on rows that it was not fitted on.

    Lopez-Paz & Oquab (2017), "Revisiting classifier two-sample tests"; Rabanser, Guennemann & Lipton (2019), "Failing
    loudly". At most 5,000 rows a side, evenly spaced, and the 100 most important columns are used. The classifier is
    fitted on the earlier half of each side and judged on the later half. p is Mann & Whitney's, one-sided, for the
    effective number of scores.
    """
    columns = sorted(names, key=lambda name: -importance.get(name, 0.0))[:_MOST_COLUMNS]
    spread = [np.linspace(0, side.rows - 1, min(side.rows, _MOST_ROWS)).astype(np.int64) for side in rows.sides]
    masks = [np.isin(np.arange(side.rows), positions) for side, positions in zip(rows.sides, spread, strict=True)]
    sides = [side.select(mask) for side, mask in zip(rows.sides, masks, strict=True)]
    halves = [side.rows // 2 for side in sides]
    if min(halves) < FEWEST_ROWS:
        return unknown_entry(NAME, f"a side has fewer than {2 * FEWEST_ROWS} rows", "together")
    frames = [frame.iloc[at[mask]] for frame, at, mask in zip((reference, batch), rows.positions, masks, strict=True)]
    parts = [_numbers(frames[0][name], frames[1][name], halves[0]) for name in columns]
    old, new = (np.column_stack(part) for part in zip(*parts, strict=True))
    # a column without values in the rows of the fit cannot be binned
    filled = ~np.isnan(np.concatenate([old[: halves[0]], new[: halves[1]]])).all(axis=0)
    if not filled.any():
        return unknown_entry(NAME, "no feature has a value in the earlier half of the rows", "together")
    old, new = old[:, filled], new[:, filled]
    model = _fit(old[: halves[0]], new[: halves[1]], sides[0].weights, seed)
    scores = [model.predict_proba(side[half:])[:, 1] for side, half in zip((old, new), halves, strict=True)]
    later = [side.select(np.arange(side.rows) >= half) for side, half in zip(sides, halves, strict=True)]
    return _judge(scores[0], scores[1], (later[0], later[1]))


def _fit(old: Floats, new: Floats, weights: Floats | None, seed: int) -> Any:
    weights = np.ones(len(old)) if weights is None else weights[: len(old)]
    # both sides have equal weight, however many rows they have
    weight = np.concatenate([weights / weights.sum() * len(new), np.ones(len(new))])
    model = sklearn.ensemble.HistGradientBoostingClassifier(
        max_iter=30, max_leaf_nodes=15, min_samples_leaf=20, early_stopping=False, random_state=seed
    )
    return model.fit(np.concatenate([old, new]), np.repeat([0, 1], [len(old), len(new)]), sample_weight=weight)


def _judge(old: Floats, new: Floats, sides: Sides) -> FeatureDrift:
    cuts = np.unique(np.quantile(old, np.arange(1, _BINS) / _BINS))
    rows = effective_rows((np.searchsorted(cuts, old), np.searchsorted(cuts, new)), len(cuts) + 1, sides, True)
    if rows.blocks and (rows.blocks < FEWEST_BLOCKS or rows.batch < _FEWEST_EFFECTIVE_ROWS):
        note = f"rows are autocorrelated: half of the batch is worth {rows.batch:,.0f} independent rows"
        return unknown_entry(NAME, note, "together")
    order = np.argsort(old, kind="stable")
    weights = np.ones(len(old)) / len(old) if sides[0].weights is None else sides[0].weights[order]
    reached = np.concatenate([[0.0], np.cumsum(weights)])
    auc = float(np.mean(sum(reached[np.searchsorted(old[order], new, side=side)] for side in ("left", "right")) / 2))
    z = (auc - 0.5) * np.sqrt(12.0 / (1.0 / rows.reference + 1.0 / rows.batch))
    p = rows.correct(2.0 * float(scipy.stats.norm.sf(abs(z)))) / 2.0
    effect = min(max(2.0 * auc - 1.0, 0.0), 1.0)
    return test_entry(NAME, "together", "domain classifier", p if z > 0 else 1.0 - p, effect, f"AUC {auc:.3f}")


def _numbers(old: pd.Series[Any], new: pd.Series[Any], fitted: int) -> tuple[Floats, Floats]:
    """Return a column of both sides as numbers (rows, 1 or 2), NaN for missing values.

    Categories are numbered by their counts in the first `fitted` rows of the reference: by all rows, those that are
    frequent by chance would separate the rows that the classifier is judged on.
    """
    if pd.api.types.is_datetime64_any_dtype(old) and pd.api.types.is_datetime64_any_dtype(new):
        parts = [np.column_stack([side.dt.hour, side.dt.weekday]).astype(np.float64) for side in (old, new)]
        return parts[0], parts[1]
    if pd.api.types.is_numeric_dtype(old) and pd.api.types.is_numeric_dtype(new):
        limit = 1e300  # scikit-learn takes NaN, not infinity
        values = [side.to_numpy(dtype=np.float64, na_value=np.nan).clip(-limit, limit) for side in (old, new)]
    else:
        texts = [side.astype(object).where(side.notna(), None).map(str, na_action="ignore") for side in (old, new)]
        codes = {text: code for code, text in enumerate(texts[0].iloc[:fitted].value_counts().index[:_MOST_CATEGORIES])}
        known = [text.map(lambda value: codes.get(value, -1), na_action="ignore") for text in texts]
        values = [side.to_numpy(dtype=np.float64) for side in known]
    return values[0][:, None], values[1][:, None]
