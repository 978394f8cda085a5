"""The figures of a back-test of retraining policies, as PNG bytes of 900 x 400 pixels."""

from collections.abc import Mapping, Sequence

from mlops_assets.modelling.plots.model_plots import (
    BLUE,
    CLASS_COLOURS,
    GREY,
    INK,
    ORANGE,
    _figure,
    _name_axes,
    _png,
    _text,
)

_MOST_NAMES = 12


def quality_over_time(batches: Sequence[str], lines: Mapping[str, Sequence[float]], measure: str) -> bytes:
    """Draw the loss of each batch (n,) under each policy; the last line, the best in hindsight, is grey and dashed."""
    figure, (axes,) = _figure("Each batch scored by the champion of its day", (1.0,))
    *policies, last = lines
    for number, name in enumerate(policies):
        colour = CLASS_COLOURS[number % len(CLASS_COLOURS)]
        axes.plot(range(len(batches)), lines[name], color=colour, lw=1.6, marker="o", ms=3, label=_text(name))
    axes.plot(range(len(batches)), lines[last], color=GREY, lw=1.4, ls="--", label=_text(last))
    step = -(-len(batches) // _MOST_NAMES)
    axes.set_xticks(range(0, len(batches), step), [_text(name) for name in batches[::step]], fontsize=8)
    _name_axes(axes, "batch", measure)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, 1.1), ncols=6, borderaxespad=0, fontsize=9)
    return _png(figure)


def age_curve(ages: Sequence[int], ratios: Sequence[float], tolerance: float) -> bytes:
    """Draw how the loss of models grows with their age in batches, relative to fresh ones; the tolerance is dashed."""
    figure, (axes,) = _figure("Loss of a model by its age, fresh = 1", (1.0,))
    axes.plot(ages, ratios, color=BLUE, lw=1.6, marker="o", ms=4)
    axes.axhline(1, color=GREY, lw=1)
    axes.axhline(1 + tolerance, color=ORANGE, lw=1.2, ls="--", label=f"{tolerance:.0%} worse than a fresh model")
    axes.xaxis.get_major_locator().set_params(integer=True)
    _name_axes(axes, "age in batches", "loss / loss of a fresh model")
    axes.legend(frameon=False, loc="upper left")
    return _png(figure)


def cost_and_quality(points: Sequence[tuple[str, int, float]], chosen: str, best: float, measure: str) -> bytes:
    """Draw (name, retrainings, mean loss) of each policy: the chosen one in orange, the best in hindsight dashed.

    Only the policies that no other beats in both are named.
    """
    figure, (axes,) = _figure("Cost and quality", (1.0,))
    axes.axhline(best, color=GREY, lw=1.2, ls="--", label="best in hindsight")
    for name, cost, loss in points:
        axes.plot([cost], [loss], "o", ms=8 if name == chosen else 5, color=ORANGE if name == chosen else BLUE)
        beaten = any(c <= cost and other <= loss and (c, other) != (cost, loss) for _, c, other in points)
        if name == chosen or not beaten:
            axes.annotate(_text(name), (cost, loss), xytext=(6, 5), textcoords="offset points", fontsize=9, color=INK)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.margins(x=0.12, y=0.12)
    _name_axes(axes, "retrainings", f"mean {measure}")
    axes.legend(frameon=False, loc="upper right")
    return _png(figure)
