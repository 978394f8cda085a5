"""What is drawn for people: a page, a plot or a preview that cannot be drawn never fails the step that decides."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import dagster as dg

from mlops_assets.assets.shared.metadata import image

_LONGEST = 500


def drawn(name: str, draw: Callable[[], Any]) -> dict[str, Any]:
    """Metadata `name` from what `draw` returns; where it raises, a line with the reason, and one warning in the log.

    `draw` also stores what it draws, where it does: a registry that refuses a picture costs the picture only.
    """
    try:
        return {name: draw()}
    except Exception as error:  # whatever a library raises on data that its authors never saw: no decision needs it
        why = " ".join(f"could not be drawn: {type(error).__name__}: {error}".split())[:_LONGEST]
        dg.get_dagster_logger().warning(f"{name} {why}")
        return {name: dg.MetadataValue.text(why)}


def drawn_plots(
    plots: Mapping[str, Callable[[], bytes]],
    suffix: str = "",
    keep: Callable[[str, bytes], object] = lambda name, png: None,
) -> dict[str, Any]:
    """A picture in the metadata for each name and what draws its PNG, kept by `keep`."""

    def picture(name: str) -> dg.MarkdownMetadataValue:
        png = plots[name]()
        keep(name, png)
        return image(png, name.replace("_", " "))

    shown: dict[str, Any] = {}
    for name in plots:
        shown |= drawn(f"{name}{suffix}", partial(picture, name))
    return shown
