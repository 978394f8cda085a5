"""docs/promises.md and docs/faults.md: each number has one row, and each mark names a number that is there."""

import importlib.util
import re
from typing import Any

import pytest

from support.pages import REPOSITORY, pages

NUMBERS = {"promise": range(1, 10), "fault": range(1, 71)}


@pytest.fixture(scope="module")
def held_by() -> Any:
    spec = importlib.util.spec_from_file_location("held_by", REPOSITORY / "docs" / "held_by.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("page", "kind"), [("promises.md", "promise"), ("faults.md", "fault")])
def test_each_number_stands_once_on_its_page(page, kind):
    asked = re.findall(rf"<!-- held by: {kind} (\d+) -->", pages()[page].read_text())
    assert [int(number) for number in asked] == list(NUMBERS[kind])


def test_every_mark_names_a_number_of_its_page(held_by):
    unknown = [mark for mark in held_by.tests_by_mark() if mark[1] not in NUMBERS[mark[0]]]
    assert unknown == []


def test_every_promise_and_every_fault_is_held_by_a_test(held_by):
    held = {kind: {number for of, number in held_by.tests_by_mark() if of == kind} for kind in NUMBERS}
    assert held == {kind: set(numbers) for kind, numbers in NUMBERS.items()}


def test_marks_are_found_on_tests_classes_parameters_and_files(held_by, tmp_path):
    file = tmp_path / "test_marked.py"
    file.write_text(
        "import pytest\n"
        "pytestmark = pytest.mark.promise(3)\n"
        "@pytest.mark.fault(31, 32)\n"
        "def test_one(): ...\n"
        "@pytest.mark.parametrize('x', [pytest.param(1, marks=pytest.mark.fault(4))])\n"
        "def test_two(x): ...\n"
        "@pytest.mark.fault(5)\n"
        "class TestThree: ...\n"
    )
    assert held_by.tests_of_file(file) == {
        "test_one": {("promise", 3), ("fault", 31), ("fault", 32)},
        "test_two": {("promise", 3), ("fault", 4)},
        "TestThree": {("promise", 3), ("fault", 5)},
    }


def test_a_mark_that_no_test_bears_is_an_error(held_by, tmp_path):
    file = tmp_path / "test_stray.py"
    file.write_text("import pytest\nCASE = pytest.param(1, marks=pytest.mark.fault(4))\ndef test_one(): ...\n")
    with pytest.raises(ValueError, match="mark no test"):
        held_by.tests_of_file(file)
