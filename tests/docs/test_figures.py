"""README's figures are those on record, each is marked, and each names the benchmark that prints it."""

import importlib.util
import re
import sys
from typing import Any

import pytest

from support.pages import REPOSITORY

NOT_FIGURES = re.compile(r"Python 3\.\d+ to 3\.\d+|Apache-2\.0|127\.0\.0\.1:\d+|1,000 rows|5,000 rows|20 features")
"""Numbers of README that say what was done, not what came out."""


@pytest.fixture(scope="module")
def figures() -> Any:
    spec = importlib.util.spec_from_file_location("figures", REPOSITORY / "benchmarks" / "figures.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["figures"] = module  # a dataclass looks its module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["README.md", "docs/figures.md", "docs/comparison.md"])
def test_a_page_holds_what_is_on_record(figures, page):
    text = (REPOSITORY / page).read_text()
    assert text == figures.filled_in(text, figures.recorded()), "`make figures` writes the recorded figures"


def test_every_figure_of_the_readme_is_marked():
    text = re.sub(r"```.*?```", "", (REPOSITORY / "README.md").read_text(), flags=re.DOTALL)
    text = NOT_FIGURES.sub("", re.sub(r"<!-- figure: \w+ -->[^<]*<!-- end -->", "", text))
    assert re.findall(r"\d[\d.,]*%?", text) == []


def test_every_figure_of_the_readme_names_its_benchmark(figures):
    text = (REPOSITORY / "README.md").read_text()
    for point in re.findall(r"^- .*?(?=^- |^$)", text, re.DOTALL | re.MULTILINE):
        named = re.findall(r"`benchmarks/(\w+)\.py`", point)
        marked = [figures.FIGURES[name].benchmark for name in re.findall(r"<!-- figure: (\w+) -->", point)]
        assert marked and set(marked) == set(named), point


def test_every_benchmark_on_record_is_there_with_its_day(figures):
    for name, found in figures.recorded().items():
        assert found.command == f"python benchmarks/{figures.COMMANDS[name]}"
        assert (REPOSITORY / "benchmarks" / figures.COMMANDS[name].split()[0]).is_file()
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", found.measured)


def test_a_figure_between_marks_is_replaced(figures):
    page = "a <!-- figure: training_ratio -->9<!-- end --> b"
    record = figures.recorded()
    wanted = figures.texts(record)["training_ratio"]
    assert figures.filled_in(page, record) == f"a <!-- figure: training_ratio -->{wanted}<!-- end --> b"
