"""`mlops-assets`: the commands. A new command is an import and a name in the last loop."""

import functools
from collections.abc import Callable
from typing import Any

import typer
from rich.console import Console

from mlops_assets.cli.backtest import backtest
from mlops_assets.cli.doctor.command import doctor
from mlops_assets.cli.history import history
from mlops_assets.cli.output import USAGE, literal
from mlops_assets.cli.rehome import rehome
from mlops_assets.cli.reproduce import reproduce
from mlops_assets.cli.segments import segments
from mlops_assets.cli.suite import export
from mlops_assets.cli.why import why
from mlops_assets.errors import MlopsAssetsError

app = typer.Typer(
    name="mlops-assets",
    help="What the models of a code location did and why, and whether their instance keeps what is promised.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _with_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that prints its errors as one line on stderr."""

    @functools.wraps(command)
    def reporting(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except MlopsAssetsError as error:
            Console(stderr=True, highlight=False).print(f"[red]Error:[/red] {literal(error)}", soft_wrap=True)
            raise typer.Exit(USAGE) from None

    return reporting


for command in (doctor, why, history, segments, reproduce, backtest, rehome):
    app.command()(_with_errors(command))

suite = typer.Typer(help="The expectations that are inferred from a model's first batches.", no_args_is_help=True)
suite.command()(_with_errors(export))
app.add_typer(suite, name="suite")
