"""The figures of a back-test of retraining policies, as PNG bytes of 900 x 400 pixels."""

from collections.abc import Mapping, Sequence

from mlops_assets.modelling.plots import canvas
from mlops_assets.modelling.plots.canvas import BLUE, CLASS_COLOURS, GREY, INK, ORANGE

_MOST_NAMES = 12


def quality_over_time(batches: Sequence[str], lines: Mapping[str, Sequence[float]], measure: str) -> bytes:
    """Draw the loss of each batch (n,) under each policy; the last line, the best in hindsight, is grey and dashed."""
    figure, (axes,) = canvas.figure_of("Each batch scored by the champion of its day")
    *policies, last = lines
    for number, name in enumerate(policies):
        colour = CLASS_COLOURS[number % len(CLASS_COLOURS)]
        axes.plot(range(len(batches)), lines[name], color=colour, lw=1.6, marker="o", ms=3, label=canvas.text(name))
    axes.plot(range(len(batches)), lines[last], color=GREY, lw=1.4, ls="--", label=canvas.text(last))
    step = -(-len(batches) // _MOST_NAMES)
    axes.set_xticks(range(0, len(batches), step), [canvas.text(name) for name in batches[::step]], fontsize=8)
    canvas.name_axes(axes, "batch", measure)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, 1.1), ncols=6, borderaxespad=0, fontsize=9)
    return canvas.png(figure)


def age_curve(ages: Sequence[int], ratios: Sequence[float], tolerance: float) -> bytes:
    """Draw how the loss of models grows with their age in batches, relative to fresh ones; the tolerance is dashed."""
    figure, (axes,) = canvas.figure_of("Loss of a model by its age, fresh = 1")
    axes.plot(ages, ratios, color=BLUE, lw=1.6, marker="o", ms=4)
    axes.axhline(1, color=GREY, lw=1)
    axes.axhline(1 + tolerance, color=ORANGE, lw=1.2, ls="--", label=f"{tolerance:.0%} worse than a fresh model")
    canvas.whole_numbers(axes)
    canvas.name_axes(axes, "age in batches", "loss / loss of a fresh model")
    axes.legend(frameon=False, loc="upper left")
    return canvas.png(figure)


def cost_and_quality(points: Sequence[tuple[str, int, float]], chosen: str, best: float, measure: str) -> bytes:
    """Draw (name, retrainings, mean loss) of each policy: the chosen one in orange, the best in hindsight dashed.

    Only the policies that no other beats in both are named.
    """
    figure, (axes,) = canvas.figure_of("Cost and quality")
    axes.axhline(best, color=GREY, lw=1.2, ls="--", label="best in hindsight")
    for name, cost, loss in points:
        axes.plot([cost], [loss], "o", ms=8 if name == chosen else 5, color=ORANGE if name == chosen else BLUE)
        beaten = any(c <= cost and other <= loss and (c, other) != (cost, loss) for _, c, other in points)
        if name == chosen or not beaten:
            label = canvas.text(name)
            axes.annotate(label, (cost, loss), xytext=(6, 5), textcoords="offset points", fontsize=9, color=INK)
    canvas.whole_numbers(axes)
    axes.margins(x=0.12, y=0.12)
    canvas.name_axes(axes, "retrainings", f"mean {measure}")
    axes.legend(frameon=False, loc="upper right")
    return canvas.png(figure)
