"""Small pictures that Dagster shows in place: beyond 1,000 characters of Markdown it shows a link instead."""

import base64
import math
from collections.abc import Sequence

import dagster as dg

from mlops_assets.assets.shared.metadata import markdown_text

MOST_POINTS = 40
_WIDTH, _HEIGHT, _MARGIN = 300, 56, 5
_INK, _MUTED = "#2f6f9f", "#9aa5b1"


def trend(values: Sequence[float], level: float, caption: str) -> dg.MarkdownMetadataValue:
    """Draw the newest 40 values (n,) from left to right: a dot on the last, a dashed line at `level`, and a caption."""
    known = [value for value in values if math.isfinite(value)][-MOST_POINTS:]
    low, high = _ends([*known, level])
    step = (_WIDTH - 2 * _MARGIN) / max(1, len(known) - 1)
    points = [(_MARGIN + step * position, _up(value, low, high)) for position, value in enumerate(known)]
    line = " ".join(f"{x:.0f},{y:.0f}" for x, y in points)
    shapes = _dashed(0, _up(level, low, high), _WIDTH, _up(level, low, high))
    shapes += f'<polyline points="{line}" fill="none" stroke="{_INK}" stroke-width="2"/>'
    shapes += f'<circle cx="{points[-1][0]:.0f}" cy="{points[-1][1]:.0f}" r="4" fill="{_INK}"/>' if points else ""
    return _picture(shapes, caption)


def interval(low: float, middle: float, high: float, caption: str) -> dg.MarkdownMetadataValue:
    """Draw an effect as a dot on its interval, beside a dashed line at zero, and a caption."""
    left, right = _ends([low, high, 0.0])
    x = {
        value: _MARGIN + (value - left) / (right - left) * (_WIDTH - 2 * _MARGIN) for value in (low, middle, high, 0.0)
    }
    y = _HEIGHT // 2
    shapes = _dashed(x[0.0], 0, x[0.0], _HEIGHT)
    shapes += f'<path d="M{x[low]:.0f} {y}H{x[high]:.0f}" stroke="{_INK}" stroke-width="6" opacity=".4"/>'
    shapes += f'<circle cx="{x[middle]:.0f}" cy="{y}" r="6" fill="{_INK}"/>'
    return _picture(shapes, caption)


def _ends(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 1, high + 1)


def _up(value: float, low: float, high: float) -> float:
    return _HEIGHT - _MARGIN - (value - low) / (high - low) * (_HEIGHT - 2 * _MARGIN)


def _dashed(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path d="M{x1:.0f} {y1:.0f}L{x2:.0f} {y2:.0f}" stroke="{_MUTED}" stroke-dasharray="4"/>'


def _picture(shapes: str, caption: str) -> dg.MarkdownMetadataValue:
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}">{shapes}</svg>'
    coded = base64.b64encode(svg.encode()).decode()
    return dg.MetadataValue.md(f"![](data:image/svg+xml;base64,{coded})\n\n{markdown_text(caption[:120])}")
