"""What is in the wheel and in the source distribution, and what they tell an installer."""

import re
import tarfile
from configparser import ConfigParser
from email import message_from_string
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import pytest

from support.clean_project import REPOSITORY

pytestmark = pytest.mark.slow


@pytest.fixture
def contents(wheel):
    with ZipFile(wheel) as opened:
        yield {name: opened.read(name).decode() for name in opened.namelist()}


def test_the_wheel_holds_the_pack_and_nothing_that_could_shadow_a_users_own_packages(contents):
    tops = {PurePosixPath(name).parts[0] for name in contents}
    assert tops == {"mlops_assets", "mlops_assets-0.1.0.dist-info"}
    packaged = {name for name in contents if name.startswith("mlops_assets/")}
    tree = (REPOSITORY / "mlops_assets").rglob("*")
    files = {path.relative_to(REPOSITORY).as_posix() for path in tree if path.is_file()}
    assert packaged == {name for name in files if "__pycache__" not in name}
    assert "mlops_assets/py.typed" in packaged
    assert all(Path(name).suffix in {".py", ".typed"} for name in packaged)


def test_the_wheel_says_what_it_needs_and_what_it_offers(contents):
    told = message_from_string(contents["mlops_assets-0.1.0.dist-info/METADATA"])
    assert told["License-Expression"] == "Apache-2.0"
    assert contents["mlops_assets-0.1.0.dist-info/licenses/LICENSE"] == (REPOSITORY / "LICENSE").read_text()
    assert told.get_payload().strip() == (REPOSITORY / "README.md").read_text().strip()
    assert told["Requires-Python"] == "<3.14,>=3.11"
    assert "Typing :: Typed" in told.get_all("Classifier")
    assert set(told.get_all("Provides-Extra")) >= {"alerts", "optuna", "postgres"}
    needed = [line for line in told.get_all("Requires-Dist") if "extra ==" not in line]
    assert "pandas<3.1,>=2.2" in needed and "mlflow<4,>=3.11" in needed
    assert not [line for line in needed if line.startswith(("apprise", "optuna", "psycopg", "pytest", "statsmodels"))]


def test_the_wheel_is_found_by_dg_and_has_a_command(contents):
    points = ConfigParser(delimiters="=")
    points.read_string(contents["mlops_assets-0.1.0.dist-info/entry_points.txt"])
    assert dict(points["dagster_dg_cli.registry_modules"]) == {"mlops_assets": "mlops_assets"}
    assert points["console_scripts"]["mlops-assets"].startswith("mlops_assets.cli")


def test_the_source_distribution_builds_the_same_wheel(built, contents):
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as opened:
        names = {PurePosixPath(name).relative_to("mlops_assets-0.1.0").as_posix() for name in opened.getnames()}
    packaged = {name for name in contents if name.startswith("mlops_assets/")}
    assert {name for name in names if name.startswith("mlops_assets/")} == packaged
    beside = names - packaged
    assert beside == {"CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml", ".gitignore"}


def test_each_proof_of_the_versions_is_a_file_of_tests():
    named = re.findall(r'"(tests/[^"]+)"', (REPOSITORY / "noxfile.py").read_text())
    assert named and [path for path in named if not (REPOSITORY / path).is_file()] == []
