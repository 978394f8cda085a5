"""`Compute`: which engine a model's fits get, and what happens where it is away."""

import time

import pytest

import mlops_assets.resources.compute as compute
from mlops_assets.errors import DeclarationError, EngineError
from mlops_assets.modelling.engine import Here, Processes
from mlops_assets.resources import Compute
from support.relay import Relay, free_port


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch):
    monkeypatch.delenv("MLOPS_ASSETS_DASK", raising=False)
    monkeypatch.setattr(compute, "local", lambda workers: Processes(workers) if workers > 1 else Here(one_thread=True))


def never(text: str) -> None:
    raise AssertionError(text)


def test_without_a_scheduler_fits_run_in_local_processes():
    for workers, expected in ((0, Here(one_thread=True)), (1, Here(one_thread=True)), (2, Processes(2))):
        with Compute().engine(workers, never) as engine:
            assert engine == expected
    with Compute(backend="threading", fallback=False).engine(2, never) as engine:
        assert engine == Processes(2, "threading")


def test_no_worker_asks_no_scheduler():
    with Compute(scheduler="tcp://127.0.0.1:1").engine(0, never) as engine:
        assert engine == Here(one_thread=True)


def test_the_address_comes_from_the_field_or_a_variable(monkeypatch):
    assert Compute().address == ""
    monkeypatch.setenv("MLOPS_ASSETS_DASK", "tcp://one:8786")
    monkeypatch.setenv("OTHER", "tcp://other:8786")
    assert Compute().address == "tcp://one:8786"
    assert Compute(scheduler="$OTHER").address == "tcp://other:8786"
    assert Compute(scheduler="tcp://third:8786").address == "tcp://third:8786"
    with pytest.raises(DeclarationError, match="the environment variable NONE, which `scheduler` names, is not set"):
        _ = Compute(scheduler="$NONE").address


def test_a_missing_extra_is_named_when_the_resource_is_declared(monkeypatch):
    monkeypatch.setattr(compute, "find_spec", lambda name: None)
    assert Compute().address == ""
    with pytest.raises(DeclarationError, match=r"pip install 'mlops-assets\[dask\]'"):
        Compute(scheduler="tcp://one:8786")
    monkeypatch.setenv("MLOPS_ASSETS_DASK", "tcp://one:8786")
    with pytest.raises(DeclarationError, match=r"pip install 'mlops-assets\[dask\]'"):
        Compute()


@pytest.mark.parametrize("mode", ["refuse", "swallow"])
def test_a_scheduler_that_is_away_falls_back_or_fails_within_its_time(mode):
    relay, warned = Relay(free_port()), []
    relay.set(mode)
    address, begin = f"tcp://127.0.0.1:{relay.port}", time.monotonic()
    try:
        with Compute(scheduler=address, wait_seconds=1).engine(2, warned.append) as engine:
            assert engine == Processes(2)
        assert len(warned) == 1 and f"the Dask scheduler {address} does not answer" in warned[0]
        away = Compute(scheduler=address, wait_seconds=1, fallback=False)
        with pytest.raises(EngineError, match=f"the Dask scheduler {address} does not answer"), away.engine(2, never):
            pass
    finally:
        relay.set("refuse")
    assert time.monotonic() - begin < 60
