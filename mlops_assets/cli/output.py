"""What commands print: tables for people, or plain JSON on stdout and nothing beside it."""

import json
import logging
import math
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="Plain JSON on stdout, nothing else.")]

WRONG = 1
"""Exit code where a command found something wrong."""

USAGE = 2
"""Exit code where it could not do what it was asked for."""


def say_json(value: Any) -> None:
    """`value` as JSON on stdout, in ASCII for any terminal; NaN and infinity, which JSON has not, are null."""
    typer.echo(json.dumps(_finite(value), indent=2, default=str))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def console() -> Console:
    """The console of now: tests and pipes put another stdout in place. A sign that it cannot show becomes a `?`."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def literal(text: Any) -> str:
    """Text that comes from data, shown as it is: no markup, no control characters."""
    return escape("".join(sign if sign.isprintable() or sign == "\n" else "�" for sign in str(text)))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> Table:
    """A table of literal texts; the last column takes what room is left."""
    made = Table(
        title=literal(title) if title else None,
        title_justify="left",
        header_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for name in columns:
        made.add_column(name, overflow="fold", ratio=1 if name == columns[-1] else None)
    for row in rows:
        made.add_row(*("" if cell is None else literal(cell) for cell in row))
    return made


@contextmanager
def quietly(log: int = logging.WARNING) -> Iterator[None]:
    """What libraries and a user's own code print goes to stderr; no warning is shown, nor a log up to the level `log`.

    What is not logged is not recorded in a run either: a run in this process needs `log=logging.NOTSET`.
    """
    before = logging.root.manager.disable
    with redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(log)
        try:
            yield
        finally:
            logging.disable(before)
