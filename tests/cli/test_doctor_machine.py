"""What the doctor says of the machine: storage, permissions, telemetry, versions, and the address of MLflow."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from mlops_assets.cli.doctor.findings import Finding
from mlops_assets.cli.doctor.machine import permissions, versions
from mlops_assets.cli.doctor.mlflow import address, is_loopback
from mlops_assets.cli.doctor.storage import storage
from mlops_assets.resources.mlflow.registry import MlflowRegistry


def by_name(findings) -> dict[str, Finding]:
    return {each.name: each for each in findings}


def test_a_storage_that_can_be_written_to_is_fine_before_it_exists(tmp_path: Path):
    [told] = storage(str(tmp_path / "not" / "yet"))
    assert told.severity == "fine" and "can be written to" in told.found and not (tmp_path / "not").exists()


def test_a_storage_that_cannot_be_written_to_is_a_fault(tmp_path: Path):
    (tmp_path / "file").write_text("")
    [told] = storage(str(tmp_path / "file" / "below"))
    assert (told.severity, told.found) == ("fault", f"{tmp_path / 'file'} cannot be written to")


def test_a_disk_that_is_nearly_full_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Usage(NamedTuple):
        free: int = 500_000_000

    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage())
    [told] = storage(str(tmp_path))
    assert (told.severity, told.found) == ("fault", f"0.50 GB free below {tmp_path}")


def test_a_relative_storage_is_told_beside_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    told = by_name(storage("store"))
    assert (told["storage path"].severity, told["storage"].severity) == ("advice", "fine")


def test_what_everybody_may_write_to_is_a_fault(tmp_path: Path):
    paths = {name: tmp_path / name for name in ("open", "sticky", "closed", "gone")}
    for name, mode in (("open", 0o777), ("sticky", 0o1777), ("closed", 0o755)):
        paths[name].mkdir()
        paths[name].chmod(mode)
    [told] = permissions(paths)
    assert (told.name, told.severity) == ("permissions of open", "fault")
    assert told.mend == f"chmod o-w {paths['open']}"
    paths["open"].chmod(0o755)
    assert [each.severity for each in permissions(paths)] == ["fine"]


def test_versions_outside_of_what_is_supported_are_named():
    told = by_name(versions(["pandas<1", "no-such-package>=2", "dagster>=1.13", "apprise<0.1; extra == 'alerts'"]))
    assert set(told) == {"version of pandas", "version of no-such-package"}
    assert all(each.severity == "fault" for each in told.values())
    assert told["version of pandas"].found.endswith("; supported: <1")
    assert told["version of no-such-package"].found == "not installed; needed: >=2"
    assert [each.severity for each in versions()] == ["fine"]


@pytest.mark.parametrize(
    ("uri", "severity", "found"),
    [
        ("sqlite:////tmp/mlflow.db", "advice", "SQLite"),
        ("http://127.0.0.1:5000", "fine", "http://127.0.0.1:5000"),
        ("http://localhost:5000", "fine", "http://localhost:5000"),
        ("http://10.0.0.8:5000", "advice", "http to 10.0.0.8"),
        ("https://mlflow.invalid", "fine", "https://mlflow.invalid"),
        ("https://ada:s3cret@mlflow.invalid", "advice", "holds a password"),
        ("postgresql+psycopg://ada:s3cret@10.0.0.8/mlflow", "advice", "holds a password"),
    ],
)
def test_an_address_that_gives_something_away_is_told_without_giving_it_away(uri: str, severity: str, found: str):
    told = by_name(address(MlflowRegistry(tracking_uri=uri)))
    assert (told["MLflow address"].severity, told["MLflow address"].found) == (severity, found)
    assert "s3cret" not in str(told)


def test_a_registry_that_is_waited_for_too_long_is_a_fault():
    told = by_name(address(MlflowRegistry(tracking_uri="http://127.0.0.1:1", timeout_seconds=120, retries=7)))
    assert told["MLflow timeouts"].severity == "fault"
    assert told["MLflow timeouts"].found == "a request may take 120 s and is repeated 7 times"
    assert "960 s" in told["MLflow timeouts"].why
    told = by_name(address(MlflowRegistry(tracking_uri="http://127.0.0.1:1")))
    assert told["MLflow timeouts"].severity == "fine"


def test_what_is_this_machine_alone():
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost", ""))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "10.0.0.8", "::", "no.such.host.invalid"))
