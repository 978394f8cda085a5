"""Which code location a command is about, and what is said where it or its instance is not to be had."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mlops_assets.cli.code_location import located
from mlops_assets.cli.main import app
from mlops_assets.cli.output import say_json
from mlops_assets.cli.target import target_of
from mlops_assets.errors import MlopsAssetsError
from support.lived import HERE, Lived, Said, run

Write = Callable[[str, str], Path]
MODEL = f"""
import sys
sys.path.append({str(HERE)!r})
from cli_location import defs
"""
EXECUTABLE = Path(sys.executable).parent / "mlops-assets"


def why(*words: str) -> Said:
    for name in ("cli_location", "definitions", "shop", "shop.definitions", "shop.elsewhere"):
        sys.modules.pop(name, None)
    return run("why", "rentals", "--json", *words)


def test_a_dg_project_names_its_module_also_from_a_folder_below_it(elsewhere: Write, monkeypatch: pytest.MonkeyPatch):
    elsewhere("pyproject.toml", '[tool.dg.project]\nroot_module = "shop"\n')
    elsewhere("shop/__init__.py", "")
    elsewhere("shop/definitions.py", MODEL)
    assert why().code == 0
    project = elsewhere("sub/x", "").parent
    monkeypatch.chdir(project)
    assert why().code == 0 and Path.cwd() == project.parent

    elsewhere(
        "pyproject.toml", '[tool.dg.project]\nroot_module = "shop"\ncode_location_target_module = "shop.elsewhere"\n'
    )
    said = why()
    assert said.code == 2 and "No module named 'shop.elsewhere'" in said.err
    elsewhere("shop/elsewhere.py", MODEL)
    assert why().code == 0


def test_a_pyproject_without_a_project_is_passed_over_and_a_broken_one_is_told(elsewhere: Write):
    elsewhere("pyproject.toml", "[tool.ruff]\nline-length = 100\n")
    elsewhere("definitions.py", MODEL)
    assert target_of(None, None, None).name.endswith("definitions.py")
    path = elsewhere("pyproject.toml", "[tool.dg.project]\n")
    path.write_text("[tool.dg.project]\ndefs_module = 'x'\n")
    with pytest.raises(MlopsAssetsError, match=r"lacks root_module, the package that holds the definitions"):
        target_of(None, None, None)
    path.write_text("[tool.dg")
    with pytest.raises(MlopsAssetsError, match=r"pyproject.toml cannot be read"):
        target_of(None, None, None)


def test_a_workspace_names_a_file_or_a_module(elsewhere: Write):
    elsewhere("own.py", MODEL)
    workspace = elsewhere("workspace.yaml", "load_from:\n  - python_file:\n      relative_path: own.py\n")
    assert why().code == 0
    workspace.write_text("load_from:\n  - python_file: own.py\n")
    assert why().code == 0
    workspace.write_text("load_from:\n  - python_module: {module_name: own, location_name: here}\n")
    found = target_of(None, None, None)
    assert (found.kind, found.name, found.location_name) == ("python_module", "own", "here")
    workspace.write_text("load_from:\n  - python_module: own\n  - python_file: other.py\n")
    with pytest.raises(
        MlopsAssetsError, match=r"names 2 code locations \('own', .*other.py'\): choose one by -m or -f"
    ):
        target_of(None, None, None)
    workspace.write_text("load_from:\n  - grpc_server: {port: 4000}\n")
    with pytest.raises(MlopsAssetsError, match="names a grpc_server, which is not loaded here"):
        target_of(None, None, None)
    workspace.write_text("load_from: [")
    with pytest.raises(MlopsAssetsError, match="cannot be read as a workspace"):
        target_of(None, None, None)


def test_a_definitions_file_in_the_folder_is_taken_last(elsewhere: Write):
    elsewhere("definitions.py", MODEL)
    assert why().code == 0


def test_options_go_before_what_the_folder_names(elsewhere: Write, tmp_path: Path):
    elsewhere("definitions.py", "raise RuntimeError('not this one')")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "own_module.py").write_text(MODEL)
    assert why("-m", "own_module", "-d", str(tmp_path / "other")).code == 0
    assert why("-f", str(tmp_path / "other" / "own_module.py")).code == 0
    said = why()
    assert said.code == 2 and "does not load: RuntimeError: not this one" in said.err and "Traceback" not in said.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "there is no code location in .*: name it by -m MODULE or -f FILE, or go to a folder with"),
        (("-f", "gone.py"), "there is no file gone.py, which -f names"),
        (("-m", "a", "-f", "b.py"), "both -m and -f are given"),
        (("-d", "gone"), "the working directory .*gone does not exist"),
        (("-m", "no_such_module"), "does not load: ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
def test_where_there_is_none_one_clear_error_says_what_to_do(elsewhere: Write, words: tuple[str, ...], told: str):
    said = why(*words)
    assert (said.code, said.out) == (2, "") and re.search(told, said.err) and "Traceback" not in said.err


def test_a_file_without_definitions_or_without_models_is_told(elsewhere: Write):
    path = elsewhere("definitions.py", "x = 1")
    assert "No Definitions" in why().err
    path.write_text("import dagster as dg\ndefs = dg.Definitions()")
    said = why()
    assert said.code == 2 and "declares no models: add a ModelPipeline" in said.err


def test_an_unknown_model_is_told_with_the_nearest(lived: Lived):
    said = lived.run("why", "rental")
    assert (said.code, said.out) == (2, "")
    assert "there is no model 'rental'; did you mean rentals?" in said.err


@pytest.mark.parametrize(
    ("home", "told"),
    [
        ("", "DAGSTER_HOME is not set, so it is not known where runs are recorded: set it to the folder"),
        ("relative", "DAGSTER_HOME must be the absolute path of an existing folder; it is 'relative'"),
        ("/no/such/folder", "DAGSTER_HOME must be the absolute path of an existing folder"),
    ],
)
def test_an_instance_that_is_not_to_be_had_is_told(lived: Lived, monkeypatch: pytest.MonkeyPatch, home: str, told: str):
    monkeypatch.setenv("DAGSTER_HOME", home)
    said = lived.run("why", "rentals")
    assert said.code == 2 and told in said.err


def test_a_dagster_yaml_that_is_wrong_is_told(lived: Lived, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "dagster.yaml").write_text("telemtry: {enabled: false}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    said = lived.run("why", "rentals")
    assert said.code == 2 and f"the instance of DAGSTER_HOME={tmp_path} does not open" in said.err
    assert "telemtry" in said.err and "Traceback" not in said.err


def test_a_resource_that_is_not_there_is_told(elsewhere: Write):
    elsewhere(
        "definitions.py",
        MODEL.replace("import defs", "import rentals") + "import dagster as dg\n"
        "defs = dg.Definitions(assets=[dg.AssetSpec('x', metadata={'mlops_assets/model': 'rentals'})])",
    )
    said = why()
    assert said.code == 2 and "has no resource 'mlops_storage' (it has: " in said.err


def test_resources_are_those_of_runs_with_environment_variables_and_the_env_file_of_the_folder(elsewhere: Write):
    elsewhere(".env", "OWN_STORE=/from/the/file\n")
    elsewhere(
        "definitions.py",
        MODEL.replace("import defs", "import rentals")
        + """
import os
import dagster as dg
from mlops_assets.resources.storage import Storage
assert os.environ["OWN_STORE"] == "/from/the/file"
defs = dg.Definitions(resources={"mlops_storage": Storage(root=dg.EnvVar("OWN_STORE"))})
""",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OWN_STORE", "/from/the/shell")
        sys.modules.pop("definitions", None)
        with located(None, None, None) as location:
            assert location.storage.root == "/from/the/file"


def test_a_resource_that_cannot_be_made_is_told(elsewhere: Write, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OWN_STORE", raising=False)
    elsewhere(
        "definitions.py",
        MODEL.replace("import defs", "import rentals")
        + """
import dagster as dg
from mlops_assets.resources.storage import Storage
defs = dg.Definitions(
    assets=[dg.AssetSpec("x", metadata={"mlops_assets/model": "rentals"})],
    resources={"mlops_storage": Storage(root=dg.EnvVar("OWN_STORE"))},
)
""",
    )
    said = why()
    assert said.code == 2 and "resource 'mlops_storage' of code location" in said.err
    assert '"OWN_STORE" which is not set' in said.err


def test_a_wrong_defs_yaml_is_told_with_its_line(elsewhere: Write):
    elsewhere("pyproject.toml", '[tool.dg.project]\nroot_module = "shop"\n')
    elsewhere("shop/__init__.py", "")
    elsewhere(
        "shop/definitions.py",
        "from pathlib import Path\n\nimport dagster as dg\n\n\n@dg.definitions\ndef defs():\n"
        "    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)\n",
    )
    elsewhere("shop/defs/__init__.py", "")
    elsewhere(
        "shop/defs/bikes/defs.yaml",
        "type: mlops_assets.ModelPipeline\nattributes:\n  name: bikes\n  source: data/*.csv\n  target: y\n"
        "  estimator: sklearn.linear_model.Ridge\n  retraining: {max_age: 30 days}\n",
    )
    said = why()
    assert said.code == 2 and "ValidationError" not in said.err
    assert "shop/defs/bikes/defs.yaml:7: ModelPipeline 'bikes': retraining: max_age: must be a duration" in said.err


def test_json_is_json_whatever_the_figures_and_the_terminal_are(capsys: pytest.CaptureFixture[str]):
    say_json({"p": float("nan"), "rows": [{"high": float("inf"), "where": "Zürich ≥ 5"}]})
    said = capsys.readouterr().out
    assert said.isascii()
    assert json.loads(said, parse_constant=pytest.fail) == {"p": None, "rows": [{"high": None, "where": "Zürich ≥ 5"}]}


def test_a_terminal_that_cannot_show_a_sign_shows_another():
    program = "from mlops_assets.cli.output import console; console().print('Zürich ≥ 5')"
    words = [sys.executable, "-c", program]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(words, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, "Zürich ? 5\n".encode("latin-1"))


def test_every_command_has_json_and_usage_errors_have_a_code_of_their_own():
    for command in ("doctor", "why", "history", "backtest", "reproduce", "rehome"):
        assert "--json" in CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
    assert run("why").code == run("nonsense").code == run("why", "x", "--last", "0").code == 2


@pytest.mark.slow
def test_the_installed_command_says_json_and_nothing_else(lived: Lived):
    words = ["why", "rentals", "--json", "-f", str(HERE / "cli_location.py"), "-d", str(HERE)]
    done = subprocess.run([EXECUTABLE, *words], env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["champion"]["version"] == 1
    assert done.stderr == "a user's code prints when it is loaded\n"
    done = subprocess.run([EXECUTABLE, "why", "rental", *words[3:]], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == "" and "did you mean rentals?" in " ".join(done.stderr.split())
