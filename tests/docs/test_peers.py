"""The benchmark of other tools: pins name versions only, the libraries are the same for all, and the table is right."""

import importlib
import re
from types import ModuleType

import pandas as pd
import pytest

from support.pages import REPOSITORY

BENCHMARKS = REPOSITORY / "benchmarks"
PINS = sorted((BENCHMARKS / "peers" / "requirements").glob("*.txt"))
SAME = ("great-expectations", "mlflow", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "skops")


def pinned(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name.lower().replace("_", "-"): version for name, _, version in (line.partition("==") for line in lines)}


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("peers")


@pytest.mark.parametrize("file", PINS, ids=lambda file: file.stem)
def test_pins_name_versions_only(file):
    for line in file.read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.!+]*", line), line


@pytest.mark.parametrize("file", PINS, ids=lambda file: file.stem)
def test_a_tool_has_the_libraries_of_the_pack(file):
    ours, its = pinned((REPOSITORY / "constraints.txt").read_text()), pinned(file.read_text())
    assert {name: its[name] for name in SAME} == {name: ours[name] for name in SAME}


def test_each_tool_has_pins_jobs_and_a_version_to_print(peers):
    assert sorted(peers.TOOLS) == [file.stem for file in PINS]
    for tool in peers.TOOLS:
        assert list((BENCHMARKS / "peers" / tool).rglob("*.py"))
        assert peers.versions(tool).startswith(f"{tool} ")
    assert re.fullmatch(r"kedro [\d.]+, kedro-mlflow [\d.]+", peers.versions("kedro"))


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds(peers):
    seconds = {"bare": [(2, 1), (4, 2), (5, 4)], "kedro": [(3, 2), (4, 2), (10, 4)]}
    costs = pd.DataFrame(
        {"round": number, "job": "training", "by": by, "wall": wall, "processor": processor}
        for by, rounds in seconds.items()
        for number, (wall, processor) in enumerate(rounds, 1)
    )
    bare, kedro = peers.table(costs, {"kedro": "kedro 1"})
    assert (bare["by"], bare["ratio"], bare["least"], bare["most"]) == ("bare", 1, 1, 1)
    assert kedro == {
        "job": "training",
        "by": "kedro 1",
        "wall s": 4,
        "processor s": 2,
        "ratio": 1.5,
        "least": 1.0,
        "most": 2.0,
        "processor ratio": 1.0,
    }


def test_the_page_waits_for_a_measurement_and_then_has_its_table(peers):
    figures = importlib.import_module("figures")
    page = "<!-- table: peers -->\n\nnot measured\n\n<!-- end -->"
    record = {name: found for name, found in figures.recorded().items() if name != "peers"}
    assert figures.filled_in(page, record) == page
    row = {"wall s": 4.0, "ratio": 1.5, "least": 1.0, "most": 2.0, "processor ratio": 1.25}
    rows = [{"job": job, "by": "kedro 1", **row} for job in ("training", "batch")]
    record["peers"] = figures.Recorded("python benchmarks/peers.py", "2026-11-29", {"peers": rows})
    text = figures.filled_in(page, record)
    assert "Measured on 2026-11-29 by `python benchmarks/peers.py`." in text
    assert "| kedro 1 | 4.0 | 1.50 (1.00 to 2.00) | 1.25 | 4.0 | 1.50 (1.00 to 2.00) | 1.25 |" in text
