"""The figures that people judge a model by, as PNG bytes of 900 x 400 pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mlops_assets.errors import TrainingError
from mlops_assets.lazy import matplotlib, np, pd
from mlops_assets.modelling.fitting.trials import Trial
from mlops_assets.modelling.plots import canvas
from mlops_assets.modelling.plots.canvas import BLUE, CLASS_COLOURS, GREY, INK, ORANGE, RED
from mlops_assets.modelling.predictions import Predictions

# More points than this show no more on 900 pixels.
MOST_POINTS_OF_A_LINE = 300
MOST_POINTS_OF_A_CLOUD = 2_000
MOST_FEATURES = 15


def predicted_and_actual(y: np.ndarray | pd.Series, predictions: Predictions, time: pd.Series | None = None) -> bytes:
    """Draw, for regression, actual and predicted (n,) over time (or in order of the rows), and one against the other.

    Many rows are drawn as the means of up to 300 equal groups of neighbouring rows.
    """
    actual, predicted = _finite(y, predictions)
    figure, (left, right) = canvas.figure_of("Predicted and actual", (2.2, 1.0))
    order = np.arange(len(actual)) if time is None else np.argsort(np.asarray(time), kind="stable")
    groups = np.array_split(order, min(len(order), MOST_POINTS_OF_A_LINE))
    across: Any = [group[len(group) // 2] for group in groups]
    across = np.asarray(across) + 1 if time is None else np.asarray(time)[across]
    means = f" (means of {len(groups[0]):,} rows)" if len(groups) < len(order) else ""
    left.plot(across, [np.nanmean(actual[group]) for group in groups], color=GREY, lw=2.2, label="actual")
    left.plot(across, [np.nanmean(predicted[group]) for group in groups], color=BLUE, lw=1.2, label="predicted")
    canvas.name_axes(left, ("row" if time is None else "time") + means, "target")
    if time is not None:
        # With at least five, matplotlib finds no interval for five months: it warns, and draws too many.
        locator = matplotlib.dates.AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
        left.xaxis.set_major_locator(locator)
        left.xaxis.set_major_formatter(matplotlib.dates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    canvas.legend_above(left, 2)
    _scatter(right, actual, predicted)
    ends = [np.nanmin([actual, predicted]), np.nanmax([actual, predicted])]
    right.plot(ends, ends, color=GREY, lw=1, ls="--")
    canvas.name_axes(right, "actual", "predicted")
    return canvas.png(figure)


def residuals(y: np.ndarray | pd.Series, predictions: Predictions) -> bytes:
    """Draw residuals of a regression (actual minus predicted, in its units) against predictions, and a histogram."""
    actual, predicted = _finite(y, predictions)
    errors = actual - predicted
    figure, (left, right) = canvas.figure_of("Residuals (actual - predicted)", (1.6, 1.0))
    _scatter(left, predicted, errors)
    left.axhline(0, color=GREY, lw=1, ls="--")
    canvas.name_axes(left, "predicted", "residual")
    right.hist(errors[np.isfinite(errors)], bins=40, color=BLUE, alpha=0.85)
    right.axvline(0, color=GREY, lw=1, ls="--")
    canvas.name_axes(right, "residual", "rows")
    right.set_title(f"mean {np.nanmean(errors):.3g}, sd {np.nanstd(errors):.3g}", fontsize=9, color=INK, loc="right")
    return canvas.png(figure)


def calibration(y: np.ndarray | pd.Series, predictions: Predictions) -> bytes:
    """Draw, for classification, how often predicted events happen, in 10 groups of equal size, with 95% bars.

    For two classes the event is the positive one; for more, the predicted class.
    """
    probability, truth, event = _event(y, predictions)
    figure, (left, right) = canvas.figure_of("Calibration", (1.0, 1.0))
    groups = [group for group in np.array_split(np.argsort(probability, kind="stable"), 10) if len(group)]
    middle = np.array([probability[group].mean() for group in groups])
    share = np.array([truth[group].mean() for group in groups])
    low, high = np.array([_wilson(float(truth[group].mean()), len(group)) for group in groups]).T
    left.plot([0, 1], [0, 1], color=GREY, lw=1, ls="--", label="perfect")
    bars = [np.maximum(share - low, 0), np.maximum(high - share, 0)]
    left.errorbar(middle, share, yerr=bars, color=BLUE, fmt="o-", ms=4, lw=1.2, elinewidth=1, label="model")
    left.set(xlim=(0, 1), ylim=(0, 1))
    canvas.name_axes(left, f"probability given to {event}", "share that came true")
    left.legend(frameon=False, loc="upper left")
    right.hist(probability, bins=np.linspace(0, 1, 41), color=BLUE, alpha=0.85)
    right.set(xlim=(0, 1))
    canvas.name_axes(right, f"probability given to {event}", "rows")
    return canvas.png(figure)


def roc_pr(y: np.ndarray | pd.Series, predictions: Predictions) -> bytes:
    """Draw ROC and precision-recall curves; beyond two classes, one (six at most) for each against the rest."""
    labels, (probability, classes) = np.asarray(y), _probabilities(predictions)
    shown = [1] if len(classes) == 2 else list(range(min(len(classes), len(CLASS_COLOURS))))
    figure, (left, right) = canvas.figure_of("ROC and precision-recall", (1.0, 1.0))
    left.plot([0, 1], [0, 1], color=GREY, lw=1, ls="--")
    for colour, column in zip(CLASS_COLOURS, shown, strict=False):
        truth, score = labels == classes[column], probability[:, column]
        if truth.all() or not truth.any() or np.isnan(score).any():
            continue
        order = np.argsort(-score, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
        hits = np.cumsum(truth[order])[ends]
        recall, false_share = hits / truth.sum(), (ends + 1 - hits) / (~truth).sum()
        left.plot(
            np.append(0, false_share), np.append(0, recall), color=colour, lw=1.6, label=canvas.text(classes[column])
        )
        right.step(recall, hits / (ends + 1), where="pre", color=colour, lw=1.6, label=canvas.text(classes[column]))
        right.axhline(truth.mean(), color=GREY if len(shown) == 1 else colour, lw=1, ls="--")
    for axes in (left, right):
        axes.set(xlim=(-0.01, 1.01), ylim=(0, 1.02))
    canvas.name_axes(left, "false positive rate", "true positive rate")
    canvas.name_axes(right, "recall", "precision")
    if left.get_legend_handles_labels()[0]:
        left.legend(frameon=False, loc="lower right", title="class")
    return canvas.png(figure)


def importance(table: pd.DataFrame) -> bytes:
    """Draw the first 15 features of a table, greatest importance first, with their 95% intervals.

    Columns: feature, importance, low, high; in the units of the metric.
    """
    figure, (axes,) = canvas.figure_of("Permutation importance")
    top = table.head(MOST_FEATURES).iloc[::-1]
    whiskers = [top["importance"] - top["low"], top["high"] - top["importance"]]
    axes.barh(range(len(top)), top["importance"], xerr=whiskers, color=BLUE, height=0.65, error_kw={"ecolor": GREY})
    axes.set_yticks(range(len(top)), [canvas.text(name) for name in top["feature"]])
    axes.axvline(0, color=GREY, lw=1)
    rest = f" ({len(table) - len(top):,} more not shown)" if len(table) > len(top) else ""
    canvas.name_axes(axes, f"loss of the metric when the column is shuffled{rest}")
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    return canvas.png(figure)


def comparison(effects: np.ndarray, low: float, high: float) -> bytes:
    """Draw the bootstrap's improvements of challenger over champion (positive is better), their interval and zero."""
    figure, (axes,) = canvas.figure_of("Challenger against champion")
    known = np.asarray(effects, dtype=np.float64)
    known = known[np.isfinite(known)]
    axes.axvspan(low, high, color=BLUE, alpha=0.12, lw=0, label=f"interval {low:.3g} to {high:.3g}")
    axes.hist(known, bins=50, color=BLUE, alpha=0.85)
    axes.axvline(0, color=ORANGE, lw=1.6, label="no difference")
    canvas.name_axes(axes, "improvement of the metric (right of zero: challenger better)", "resamples")
    axes.legend(frameon=False, loc="upper left")
    return canvas.png(figure)


def search_trials(trials: Sequence[Trial]) -> bytes:
    """Draw the score of each trial with one sd of its folds, the best so far, and the trials that failed."""
    figure, (axes,) = canvas.figure_of("Search")
    sound = [trial for trial in trials if math.isfinite(trial.score)]
    numbers, scores = [trial.number + 1 for trial in sound], [trial.score for trial in sound]
    spread = [trial.std if math.isfinite(trial.std) else 0.0 for trial in sound]
    axes.errorbar(numbers, scores, yerr=spread, fmt="o", ms=5, color=BLUE, ecolor=GREY, elinewidth=1, label="trial")
    if scores:
        axes.step(numbers, np.maximum.accumulate(scores), where="post", color=ORANGE, lw=1.4, label="best so far")
    failed = [trial.number + 1 for trial in trials if not math.isfinite(trial.score)]
    if failed:
        floor = axes.get_xaxis_transform()
        axes.plot(failed, [0.03] * len(failed), "x", color=RED, transform=floor, clip_on=False, label="failed")
    canvas.whole_numbers(axes)
    axes.set_xlim(0.5, max([*numbers, *failed], default=1) + 0.5)
    canvas.name_axes(axes, "trial", "score (higher is better)")
    canvas.legend_above(axes, 3)
    return canvas.png(figure)


def _finite(y: np.ndarray | pd.Series, predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    actual, predicted = (np.asarray(values, dtype=np.float64) for values in (y, predictions.value))
    if not np.isfinite(actual - predicted).any():
        raise TrainingError(f"no row of {len(actual):,} has a finite label and prediction: there is nothing to draw.")
    return np.where(np.isfinite(actual), actual, np.nan), np.where(np.isfinite(predicted), predicted, np.nan)


def _scatter(axes: Any, across: np.ndarray, up: np.ndarray) -> None:
    rows = np.unique(np.linspace(0, len(up) - 1, min(len(up), MOST_POINTS_OF_A_CLOUD)).astype(int))
    axes.scatter(across[rows], up[rows], s=9, alpha=0.7 if len(rows) < 300 else 0.35, color=BLUE, linewidths=0)


def _probabilities(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    if predictions.probability is None or predictions.classes is None:
        raise TrainingError("this figure needs probabilities; the estimator has no predict_proba.")
    return predictions.probability, predictions.classes


def _event(y: np.ndarray | pd.Series, predictions: Predictions) -> tuple[np.ndarray, np.ndarray, str]:
    """Return the predicted probability (n,) of an event, whether it happened (n,), and its name."""
    probability, classes = _probabilities(predictions)
    labels = np.asarray(y)
    if len(classes) == 2:
        return probability[:, 1], labels == classes[1], f"class {canvas.text(classes[1])}"
    return probability.max(axis=1), labels == classes[probability.argmax(axis=1)], "the class predicted"


def _wilson(share: float, rows: int) -> tuple[float, float]:
    """Return the 95% interval of a share (Wilson 1927)."""
    z = 1.96
    centre = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows)) / (1 + z * z / rows)
    return centre - half, centre + half
