"""Each command explains itself, with every version of typer and click that is supported."""

import pytest
from typer.testing import CliRunner

from mlops_assets.cli.main import app


@pytest.mark.parametrize("command", ["backtest", "doctor", "history", "rehome", "reproduce", "why"])
def test_each_command_explains_itself_and_its_options(command):
    told = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert told.exit_code == 0, told.output
    assert f"{command} [OPTIONS]" in told.output and "--json" in told.output
