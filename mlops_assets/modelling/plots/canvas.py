"""The paper, the colours and the axes of all figures: PNG bytes of 900 x 400 pixels."""

from __future__ import annotations

import io
from typing import Any

from mlops_assets.lazy import matplotlib

INK, GREY, GRID = "#2b3440", "#9aa5b1", "#e6eaee"
BLUE, ORANGE, GREEN, RED = "#2f6f9f", "#d9803a", "#4f9a6f", "#b5535b"
CLASS_COLOURS = (BLUE, ORANGE, GREEN, "#8a6fb0", RED, "#6d7a86")


def figure_of(title: str, widths: tuple[float, ...] = (1.0,)) -> tuple[matplotlib.figure.Figure, list[Any]]:
    """Return a figure, and its axes side by side, of these relative widths."""
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


def png(figure: matplotlib.figure.Figure) -> bytes:
    """Draw a figure."""
    file = io.BytesIO()
    matplotlib.backends.backend_agg.FigureCanvasAgg(figure).print_png(file)  # type: ignore[no-untyped-call]
    return file.getvalue()


def name_axes(axes: Any, across: str, up: str = "") -> None:
    """Name both axes."""
    axes.set_xlabel(across, fontsize=9, color=INK)
    axes.set_ylabel(up, fontsize=9, color=INK)


def legend_above(axes: Any, columns: int) -> None:
    """Draw the legend above the axes, in so many columns."""
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, 1.1), ncols=columns, borderaxespad=0)


def whole_numbers(axes: Any) -> None:
    """Let the ticks across be integers."""
    axes.xaxis.get_major_locator().set_params(integer=True)


def text(value: object) -> str:
    """Return a name from data on one line, short, and never read as mathematical markup."""
    line = " ".join(str(value).split())
    return (line if len(line) <= 40 else line[:37] + "...").replace("$", r"\$")
