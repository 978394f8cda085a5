"""Suites that are written and edited while a code server goes on: every run begins, and the suite in force judges."""

import json
from pathlib import Path

import pytest
import yaml

from support.served import served
from support.synthetic import rows

LOCATION = Path(__file__).with_name("served_location.py")


def between(column: str, highest: float, severity: str = "error") -> dict[str, object]:
    return {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": column, "max_value": highest},
        "meta": {"severity": severity},
    }


def write(path: Path, *expectations: dict[str, object]) -> None:
    path.write_text(yaml.safe_dump({"name": "shop", "expectations": list(expectations)}))


@pytest.mark.slow
def test_batches_are_judged_by_the_suite_in_force_without_a_reload(tmp_path, monkeypatch):
    monkeypatch.setenv("SERVED_HOME", str(tmp_path))
    suite, landing = tmp_path / "expectations.yaml", tmp_path / "landing"
    landing.mkdir()
    for number in range(1, 9):
        rows(number).assign(x=lambda frame, n=number: frame["x"] + (500 if n == 7 else 0)).to_csv(
            landing / f"b{number}.csv", index=False
        )
    with served(LOCATION) as server:
        before = server.planned("shop")
        assert "suite_in_force" in before and not any(name.startswith("x_") for name in before)
        for batch in ("b1", "b2", "b3"):
            assert server.take_in("shop", batch)[0], server.said(batch)
        [stored] = (tmp_path / "storage" / "shop" / "suites").iterdir()
        inferred = len(json.loads(stored.read_text())["expectations"])
        assert not suite.exists()
        for batch in ("b4", "b5"):
            succeeded, checks = server.take_in("shop", batch)
            assert succeeded, server.said(batch)
            assert checks.keys() == before
            assert checks["suite_in_force"] == (True, f"all {inferred} expectations hold")

        write(suite, between("x", 100), between("z", 0, "warn"))
        succeeded, checks = server.take_in("shop", "b6")
        assert succeeded and not checks["suite_in_force"][0]  # a warning is shown, and stops nothing
        succeeded, checks = server.take_in("shop", "b7")
        assert not succeeded and "x: values to be between (max_value 100)" in checks["suite_in_force"][1]
        assert "b7' is rejected. suite_in_force: does not hold: x" in server.said("b7")

        write(suite, between("x", 100), between("z", 100))
        server.reload()
        assert server.planned("shop") == before | {"x_values_to_be_between", "z_values_to_be_between"}
        write(suite, between("x", -100))
        succeeded, checks = server.take_in("shop", "b8")
        assert not succeeded and "(max_value -100)" in checks["x_values_to_be_between"][1]
        assert checks["z_values_to_be_between"][0] and checks["z_values_to_be_between"][1].startswith("no longer in")
        assert checks["suite_in_force"][0]
