"""What the tests of the command line ask of it, and of a deployment that has lived."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mlops_assets.cli.main import app
from support.deployment import DeployedModel, Deployment

HERE = Path(__file__).parents[1] / "cli"
ADA = {"by": "ada", "reason": "complaints since Monday"}


@dataclass(frozen=True)
class Said:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str


def run(*words: str) -> Said:
    """One command, as a person gives it."""
    done = CliRunner().invoke(app, list(words))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return Said(done.exit_code, done.stdout, done.stderr)


@dataclass(frozen=True)
class Lived:
    """A deployment with a model that was promoted twice, rolled back by ada, and met a bad and a drifted batch."""

    home: Path
    model: DeployedModel

    def run(self, *words: str) -> Said:
        """A command about its code location, which is loaded anew as in a process of its own."""
        sys.modules.pop("cli_location", None)
        return run(*words, "-f", str(HERE / "cli_location.py"), "-d", str(HERE))


def lived_at(home: Path, monkeypatch: pytest.MonkeyPatch) -> Lived:
    """The life as it is in a folder that it was moved or copied to."""
    environment(monkeypatch, home)
    return Lived(home, Deployment(home).model("rentals", pages="never", retraining={"cron": "0 3 * * *"}))


def environment(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """That of the commands for a home."""
    monkeypatch.setenv("CLI_HOME", str(home))
    monkeypatch.setenv("DAGSTER_HOME", str(home / "dagster"))
