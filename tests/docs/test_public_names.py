"""README and the site import public names only, and docs/compatibility.md names what is public."""

import ast
import re
from importlib import import_module

import pytest

from support.pages import REPOSITORY, blocks, pages

PUBLIC = {"mlops_assets", "mlops_assets.errors", "mlops_assets.resources", "mlops_assets.sensors"}


def imports(text: str) -> list[tuple[str, str]]:
    """Module and name of each import from the pack."""
    nodes = list(ast.walk(ast.parse(text)))
    whole = [(alias.name, "") for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    parts = [
        (node.module or "", alias.name) for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    return [each for each in (*whole, *parts) if each[0].partition(".")[0] == "mlops_assets"]


@pytest.mark.parametrize("page", pages())
def test_pages_import_public_names_only(page):
    for block in blocks(page):
        if block.language == "python":
            for module, name in imports(block.text):
                assert module in PUBLIC, f"{block.place}: {module} is private"
                assert not name or hasattr(import_module(module), name), f"{block.place}: {module} has no {name}"


@pytest.mark.parametrize("folder", ["defs", "examples", "resources", "sensors"])
def test_models_and_wiring_import_public_names_only(folder):
    for file in (REPOSITORY / folder).rglob("*.py"):
        for module, name in imports(file.read_text()):
            assert module in PUBLIC, f"{file}: {module} is private"
            assert not name or hasattr(import_module(module), name), f"{file}: {module} has no {name}"


@pytest.mark.parametrize("page", pages())
def test_the_reference_asks_for_public_names_only(page):
    text = pages()[page].read_text()
    asked = re.findall(r"^(?:::: |<!-- fields: )(mlops_assets[\w.]*)", text, re.MULTILINE)
    for dotted in asked:
        module = max((name for name in PUBLIC if f"{dotted}.".startswith(f"{name}.")), key=len)
        first = dotted.removeprefix(module).strip(".").partition(".")[0]
        assert not first or first in dir(import_module(module)) or hasattr(import_module(module), first), dotted
        assert module != "mlops_assets" or first in import_module(module).__all__, f"{page}: {dotted} is private"


def test_the_page_names_every_public_module():
    table = pages()["compatibility.md"].read_text()
    assert set(re.findall(r"^\| `(mlops_assets[\w.]*)` \|", table, re.MULTILINE)) == PUBLIC


@pytest.mark.parametrize("module", ["mlops_assets", "mlops_assets.resources", "mlops_assets.sensors"])
def test_every_name_of_a_face_is_there_and_a_wrong_one_is_told_the_others(module):
    package = import_module(module)
    assert all(getattr(package, name).__name__ == name for name in package.__all__)
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'nothing' .it has: "):
        getattr(package, "nothing")  # noqa: B009
