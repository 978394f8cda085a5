"""Drawings for people: a page, a plot or a preview that cannot be drawn never fails the step that decides."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import dagster as dg

from mlops_assets.assets.shared.metadata import image

_LONGEST = 500


def drawn(name: str, draw: Callable[[], Any]) -> dict[str, Any]:
    """Return metadata `name` with what `draw` returns; if it raises, a line with the reason, and log one warning.

    `draw` may also store the drawing: if a registry refuses a picture, only the picture is lost.
    """
    try:
        return {name: draw()}
    except Exception as error:  # libraries raise anything on unforeseen data, and no decision needs a drawing
        why = " ".join(f"could not be drawn: {type(error).__name__}: {error}".split())[:_LONGEST]
        dg.get_dagster_logger().warning(f"{name} {why}")
        return {name: dg.MetadataValue.text(why)}


def drawn_plots(
    plots: Mapping[str, Callable[[], bytes]],
    suffix: str = "",
    keep: Callable[[str, bytes], object] = lambda file, png: None,
) -> dict[str, Any]:
    """Return a picture for each name and the function that draws its PNG; `keep` stores its PNG as a file."""

    def picture(name: str) -> dg.MarkdownMetadataValue:
        png = plots[name]()
        keep(f"{name}.png", png)
        return image(png, name.replace("_", " "))

    lines = [drawn(f"{name}{suffix}", partial(picture, name)) for name in plots]
    return {name: value for line in lines for name, value in line.items()}
