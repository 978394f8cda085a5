"""The output of commands: tables for people, or plain JSON and nothing else on stdout."""

import json
import logging
import math
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import fields, is_dataclass
from datetime import datetime
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="Plain JSON on stdout, nothing else.")]

WRONG = 1  # exit code of a command that found something wrong
USAGE = 2  # exit code of a command that could not do its work


def say_json(value: Any) -> None:
    """Print `value` as JSON on stdout, in ASCII for any terminal; moments are ISO 8601, NaN and infinity are null."""
    typer.echo(json.dumps(_plain(value), indent=2, default=str))


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(content) for name, content in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(content) for content in value]
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return None if isinstance(value, float) and not math.isfinite(value) else value


def one_line(error: Exception) -> str:
    """Return the message of an error on one line of at most 600 characters; its type if it has no message."""
    return " ".join(str(error).split())[:600] or type(error).__name__


def console() -> Console:
    """Return a console on the current stdout, which tests and pipes replace; signs it cannot show become `?`."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def literal(text: Any) -> str:
    """Return text from data without markup and control characters."""
    return escape("".join(sign if sign.isprintable() or sign == "\n" else "�" for sign in str(text)))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> Table:
    """Return a table of literal texts; the last column takes the remaining width."""
    result = Table(
        title=literal(title) or None, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False
    )
    for name in columns:
        result.add_column(name, overflow="fold", ratio=1 if name == columns[-1] else None)
    for row in rows:
        result.add_row(*("" if cell is None else literal(cell) for cell in row))
    return result


@contextmanager
def quietly(log: int = logging.WARNING) -> Iterator[None]:
    """Send the prints of libraries and user code to stderr; show no warnings and no logs up to the level `log`.

    A run does not record suppressed logs either: a run in this process needs `log=logging.NOTSET`.
    """
    before = logging.root.manager.disable
    with redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(log)
        try:
            yield
        finally:
            logging.disable(before)
