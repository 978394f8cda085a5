"""The figures that people judge a model by, as PNG bytes of 900 x 400 pixels."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlops_assets.errors import TrainingError
from mlops_assets.lazy import matplotlib, np, pd
from mlops_assets.modelling.fitting.search import Trial
from mlops_assets.modelling.predictions import Predictions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, GREY, GRID = "#2b3440", "#9aa5b1", "#e6eaee"
BLUE, ORANGE, GREEN = "#2f6f9f", "#d9803a", "#4f9a6f"
CLASS_COLOURS = (BLUE, ORANGE, GREEN, "#8a6fb0", "#b5535b", "#6d7a86")

# More points than this show no more on 900 pixels.
MOST_POINTS_OF_A_LINE = 300
MOST_POINTS_OF_A_CLOUD = 2_000
MOST_FEATURES = 15


def predicted_and_actual(y: np.ndarray | pd.Series, predictions: Predictions, time: pd.Series | None = None) -> bytes:
    """Draw, for regression, actual and predicted (n,) over time (or in order of the rows), and one against the other.

    Many rows are drawn as the means of up to 300 equal groups of neighbouring rows.
    """
    actual, said = _finite(y, predictions)
    figure, (left, right) = _figure("Predicted and actual", (2.2, 1.0))
    order = np.arange(len(actual)) if time is None else np.argsort(np.asarray(time), kind="stable")
    groups = np.array_split(order, min(len(order), MOST_POINTS_OF_A_LINE))
    across: Any = [group[len(group) // 2] for group in groups]
    across = np.asarray(across) + 1 if time is None else np.asarray(time)[across]
    means = [f" (means of {len(groups[0]):,} rows)" if len(groups) < len(order) else ""][0]
    left.plot(across, [np.nanmean(actual[group]) for group in groups], color=GREY, lw=2.2, label="actual")
    left.plot(across, [np.nanmean(said[group]) for group in groups], color=BLUE, lw=1.2, label="predicted")
    _name_axes(left, ("row" if time is None else "time") + means, "target")
    if time is not None:
        locator = matplotlib.dates.AutoDateLocator(maxticks=7)  # type: ignore[no-untyped-call]
        left.xaxis.set_major_locator(locator)
        left.xaxis.set_major_formatter(matplotlib.dates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    left.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, 1.1), ncols=2, borderaxespad=0)
    cloud = _thinned(len(actual))
    right.scatter(actual[cloud], said[cloud], s=9, alpha=_alpha(len(cloud)), color=BLUE, linewidths=0)
    ends = [np.nanmin([actual, said]), np.nanmax([actual, said])]
    right.plot(ends, ends, color=GREY, lw=1, ls="--")
    _name_axes(right, "actual", "predicted")
    return _png(figure)


def residuals(y: np.ndarray | pd.Series, predictions: Predictions) -> bytes:
    """Draw residuals of a regression (actual minus predicted, in its units) against predictions, and a histogram."""
    actual, said = _finite(y, predictions)
    errors = actual - said
    figure, (left, right) = _figure("Residuals (actual - predicted)", (1.6, 1.0))
    cloud = _thinned(len(errors))
    left.scatter(said[cloud], errors[cloud], s=9, alpha=_alpha(len(cloud)), color=BLUE, linewidths=0)
    left.axhline(0, color=GREY, lw=1, ls="--")
    _name_axes(left, "predicted", "residual")
    right.hist(errors[np.isfinite(errors)], bins=40, color=BLUE, alpha=0.85)
    right.axvline(0, color=GREY, lw=1, ls="--")
    _name_axes(right, "residual", "rows")
    right.set_title(f"mean {np.nanmean(errors):.3g}, sd {np.nanstd(errors):.3g}", fontsize=9, color=INK, loc="right")
    return _png(figure)


def calibration(y: np.ndarray | pd.Series, predictions: Predictions) -> bytes:
    """Draw, for classification, how often predicted events happen, in 10 groups of equal size, with 95% bars.

    For two classes the event is the positive one; for more, the predicted class.
    """
    said, truth, what = _event(y, predictions)
    figure, (left, right) = _figure("Calibration", (1.0, 1.0))
    groups = [group for group in np.array_split(np.argsort(said, kind="stable"), 10) if len(group)]
    middle = np.array([said[group].mean() for group in groups])
    share = np.array([truth[group].mean() for group in groups])
    low, high = np.array([_wilson(float(truth[group].mean()), len(group)) for group in groups]).T
    left.plot([0, 1], [0, 1], color=GREY, lw=1, ls="--", label="perfect")
    bars = [np.maximum(share - low, 0), np.maximum(high - share, 0)]
    left.errorbar(middle, share, yerr=bars, color=BLUE, fmt="o-", ms=4, lw=1.2, elinewidth=1, label="model")
    left.set(xlim=(0, 1), ylim=(0, 1))
    _name_axes(left, f"probability given to {what}", "share that came true")
    left.legend(frameon=False, loc="upper left")
    right.hist(said, bins=np.linspace(0, 1, 41), color=BLUE, alpha=0.85)
    right.set(xlim=(0, 1))
    _name_axes(right, f"probability given to {what}", "rows")
    return _png(figure)


def roc_pr(y: np.ndarray | pd.Series, predictions: Predictions) -> bytes:
    """Draw ROC and precision-recall curves; beyond two classes, one (six at most) for each against the rest."""
    labels, (probability, classes) = np.asarray(y), _probabilities(predictions)
    shown = [1] if len(classes) == 2 else list(range(min(len(classes), len(CLASS_COLOURS))))
    figure, (left, right) = _figure("ROC and precision-recall", (1.0, 1.0))
    left.plot([0, 1], [0, 1], color=GREY, lw=1, ls="--")
    for colour, column in zip(CLASS_COLOURS, shown, strict=False):
        truth, said = labels == classes[column], probability[:, column]
        if truth.all() or not truth.any() or np.isnan(said).any():
            continue
        order = np.argsort(-said, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(said[order])), len(said) - 1)
        hits = np.cumsum(truth[order])[ends]
        recall, false_share = hits / truth.sum(), (ends + 1 - hits) / (~truth).sum()
        left.plot(np.append(0, false_share), np.append(0, recall), color=colour, lw=1.6, label=_text(classes[column]))
        right.step(recall, hits / (ends + 1), where="pre", color=colour, lw=1.6, label=_text(classes[column]))
        right.axhline(truth.mean(), color=GREY if len(shown) == 1 else colour, lw=1, ls="--")
    for axes in (left, right):
        axes.set(xlim=(-0.01, 1.01), ylim=(0, 1.02))
    _name_axes(left, "false positive rate", "true positive rate")
    _name_axes(right, "recall", "precision")
    if left.get_legend_handles_labels()[0]:
        left.legend(frameon=False, loc="lower right", title="class")
    return _png(figure)


def importance(table: pd.DataFrame) -> bytes:
    """Draw the 15 features that matter most in a `permutation_importance_table`, with their 95% intervals."""
    figure, (axes,) = _figure("Permutation importance", (1.0,))
    top = table.head(MOST_FEATURES).iloc[::-1]
    whiskers = [top["importance"] - top["low"], top["high"] - top["importance"]]
    axes.barh(range(len(top)), top["importance"], xerr=whiskers, color=BLUE, height=0.65, error_kw={"ecolor": GREY})
    axes.set_yticks(range(len(top)), [_text(name) for name in top["feature"]])
    axes.axvline(0, color=GREY, lw=1)
    rest = len(table) - len(top)
    _name_axes(axes, "loss of the metric when the column is shuffled" + (f" ({rest:,} more not shown)" if rest else ""))
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    return _png(figure)


def comparison(effects: np.ndarray, low: float, high: float) -> bytes:
    """Draw the bootstrap's improvements of challenger over champion (positive is better), their interval and zero."""
    figure, (axes,) = _figure("Challenger against champion", (1.0,))
    known = np.asarray(effects, dtype=np.float64)
    known = known[np.isfinite(known)]
    axes.axvspan(low, high, color=BLUE, alpha=0.12, lw=0, label=f"interval {low:.3g} to {high:.3g}")
    axes.hist(known, bins=50, color=BLUE, alpha=0.85)
    axes.axvline(0, color=ORANGE, lw=1.6, label="no difference")
    _name_axes(axes, "improvement of the metric (right of zero: challenger better)", "resamples")
    axes.legend(frameon=False, loc="upper left")
    return _png(figure)


def search_trials(trials: Sequence[Trial]) -> bytes:
    """Draw the score of each trial with one sd of its folds, the best so far, and the trials that failed."""
    figure, (axes,) = _figure("Search", (1.0,))
    sound = [trial for trial in trials if math.isfinite(trial.score)]
    numbers, found = [trial.number + 1 for trial in sound], [trial.score for trial in sound]
    spread = [trial.std if math.isfinite(trial.std) else 0.0 for trial in sound]
    axes.errorbar(numbers, found, yerr=spread, fmt="o", ms=5, color=BLUE, ecolor=GREY, elinewidth=1, label="trial")
    if found:
        axes.step(numbers, np.maximum.accumulate(found), where="post", color=ORANGE, lw=1.4, label="best so far")
    failed = [trial.number + 1 for trial in trials if not math.isfinite(trial.score)]
    if failed:
        floor = axes.get_xaxis_transform()
        axes.plot(failed, [0.03] * len(failed), "x", color="#b5535b", transform=floor, clip_on=False, label="failed")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlim(0.5, max([*numbers, *failed], default=1) + 0.5)
    _name_axes(axes, "trial", "score (higher is better)")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, 1.1), ncols=3, borderaxespad=0)
    return _png(figure)


def _figure(title: str, widths: tuple[float, ...]) -> tuple[Figure, list[Any]]:
    layout = matplotlib.layout_engine.ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08)
    figure = matplotlib.figure.Figure(figsize=(9, 4), dpi=100, layout=layout, facecolor="white")
    figure.suptitle(title, x=0.012, ha="left", fontsize=12, fontweight="bold", color=INK)
    grid = figure.subplots(1, len(widths), squeeze=False, gridspec_kw={"width_ratios": widths})
    for axes in grid[0]:
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(GREY)
        axes.tick_params(colors=INK, labelsize=9, color=GREY)
        axes.grid(color=GRID, lw=0.8)
        axes.set_axisbelow(True)
    return figure, list(grid[0])


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    matplotlib.backends.backend_agg.FigureCanvasAgg(figure).print_png(file)  # type: ignore[no-untyped-call]
    return file.getvalue()


def _name_axes(axes: Any, across: str, up: str = "") -> None:
    axes.set_xlabel(across, fontsize=9, color=INK)
    axes.set_ylabel(up, fontsize=9, color=INK)


def _text(value: object) -> str:
    """Return a name from data on one line, short, and never read as mathematical markup."""
    text = " ".join(str(value).split())
    return (text if len(text) <= 40 else text[:37] + "...").replace("$", r"\$")


def _finite(y: np.ndarray | pd.Series, predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    actual, said = (np.asarray(values, dtype=np.float64) for values in (y, predictions.value))
    if not np.isfinite(actual - said).any():
        raise TrainingError(f"no row of {len(actual):,} has a finite label and prediction: there is nothing to draw.")
    return np.where(np.isfinite(actual), actual, np.nan), np.where(np.isfinite(said), said, np.nan)


def _probabilities(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    if predictions.probability is None or predictions.classes is None:
        raise TrainingError("this figure needs probabilities; the estimator has no predict_proba.")
    return predictions.probability, predictions.classes


def _event(y: np.ndarray | pd.Series, predictions: Predictions) -> tuple[np.ndarray, np.ndarray, str]:
    """Return the predicted probability (n,) of an event, whether it happened (n,), and its name."""
    probability, classes = _probabilities(predictions)
    labels = np.asarray(y)
    if len(classes) == 2:
        return probability[:, 1], labels == classes[1], f"class {_text(classes[1])}"
    return probability.max(axis=1), labels == classes[probability.argmax(axis=1)], "the class predicted"


def _wilson(share: float, rows: int) -> tuple[float, float]:
    """Return the 95% interval of a share (Wilson 1927)."""
    z = 1.96
    centre = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows)) / (1 + z * z / rows)
    return centre - half, centre + half


def _thinned(rows: int) -> np.ndarray:
    return np.unique(np.linspace(0, rows - 1, min(rows, MOST_POINTS_OF_A_CLOUD)).astype(int))


def _alpha(points: int) -> float:
    return 0.7 if points < 300 else 0.35
