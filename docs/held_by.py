"""Which tests hold a promise or a row of the faults: read from the markers in tests/ when the site is built.

A page asks for the tests by `<!-- held by: promise 3 -->` or `<!-- held by: fault 31 -->`. A test says what it holds by
`@pytest.mark.promise(3)` or `@pytest.mark.fault(31)`, on itself, on a `pytest.param` of its own, on its class, or by
`pytestmark` for the whole file.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1] / "tests"
KINDS = ("promise", "fault")
_ASKED = re.compile(r"<!-- held by: (promise|fault) (\d+) -->")
NOT_YET = "*no test yet*"

Held = tuple[str, int]


def on_page_markdown(markdown: str, **_: Any) -> str:
    """MkDocs' hook: fill in the tests where a page asks for them."""
    return _ASKED.sub(lambda asked: _tests(asked[1], int(asked[2])), markdown)


@cache
def tests_by_mark() -> Mapping[Held, list[str]]:
    """Return the tests of each ("promise", 3) and ("fault", 31), as `folder/test_file.py::test_name`."""
    held: dict[Held, list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        for test, marks in tests_of_file(path).items():
            for mark in sorted(marks):
                held[mark].append(f"{path.relative_to(TESTS).as_posix()}::{test}")
    return held


def tests_of_file(path: Path) -> dict[str, set[Held]]:
    """Return the marks of each test of a file; raise for a mark that belongs to no test."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    shared = {mark for node in tree.body if _is_pytestmark(node) for mark in _marks(node)}
    own = {node.name: set(_marks(*node.decorator_list)) | shared for node in _tests_in(tree)}
    stray = set(_marks(tree)) - shared - {mark for marks in own.values() for mark in marks}
    if stray:
        raise ValueError(f"{path}: {sorted(stray)} mark no test; put them on a test, its class or `pytestmark`")
    return own


def _tests(kind: str, number: int) -> str:
    tests = tests_by_mark().get((kind, number), [])
    return "<br>".join(f"`{test}`" for test in tests) or NOT_YET


def _tests_in(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Yield test functions and the classes that are marked as a whole."""
    for node in ast.walk(tree):
        is_test = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        if is_test or (isinstance(node, ast.ClassDef) and node.decorator_list):
            yield node


def _is_pytestmark(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(
        isinstance(to, ast.Name) and to.id == "pytestmark" for to in node.targets
    )


def _marks(*nodes: ast.AST) -> Iterator[Held]:
    """Yield each `pytest.mark.promise(3, 4)` below the nodes as ("promise", 3), ("promise", 4)."""
    for call in (part for node in nodes for part in ast.walk(node) if isinstance(part, ast.Call)):
        if isinstance(call.func, ast.Attribute) and call.func.attr in KINDS and _is_mark(call.func.value):
            for number in call.args:
                yield call.func.attr, ast.literal_eval(number)


def _is_mark(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "mark"
