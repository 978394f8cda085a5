"""The warm process: one for each environment, that ends when it is of no use, and whose refusal stops no run."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from mlops_assets.cli.doctor.servers import launcher
from mlops_assets.dagster_private import WorkerStatus
from mlops_assets.launcher.living import PROCESS, Living
from mlops_assets.launcher.warm_place import WarmPlace, stay
from support.daemon import wait_until
from support.relay import free_port


@pytest.fixture
def place(tmp_path):
    long = tmp_path / ("long" * 40)
    place = WarmPlace.of(long, dict(os.environ), ())
    yield place
    for pid in processes(place):
        os.kill(pid, signal.SIGKILL)


def processes(place: WarmPlace) -> list[int]:
    """The warm processes of a place, by what their command names."""
    found = subprocess.run(["pgrep", "-f", f"warm_process {place.folder}"], capture_output=True, text=True).stdout
    return [int(pid) for pid in found.split()]


def test_a_process_is_not_a_later_one_with_its_number():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    here = Living.this()
    other = Living(here.host, here.boot, child.pid, here.started)
    assert here.is_alive and here.is_here and Living.from_json(here.to_json()) == here
    assert not other.is_alive and not other.interrupt("python")
    assert not Living(here.host, "an earlier boot", here.pid, here.started).is_alive
    assert not Living("elsewhere", here.boot, here.pid, here.started).is_here
    child.kill()
    child.wait()
    for text in ("{}", "[]", "nothing", '{"host": "a", "boot": "b", "pid": null, "started": 1}'):
        with pytest.raises(ValueError):
            Living.from_json(text)


def test_variables_that_libraries_may_read_lead_to_another_process(tmp_path):
    names = {
        WarmPlace.of(tmp_path, {"PWD": pwd, "OMP_NUM_THREADS": threads}, preload).name
        for pwd in ("/a", "/b")
        for threads in ("1", "2")
        for preload in ((), ("json",))
    }
    assert len(names) == 4


@pytest.mark.slow
def test_starters_at_once_have_one_process_that_ends_with_the_last_of_them(place):
    code = (
        "import os, sys; from pathlib import Path; from mlops_assets.launcher.warm_place import *\n"
        "place = WarmPlace.of(Path(sys.argv[1]), dict(os.environ), ()); stay(place); stay(place)\n"
        "print(place.state(60)['pid'], flush=True); sys.stdin.readline()"
    )
    command = [sys.executable, "-c", code, str(place.folder.parent)]
    starters = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=place.environment)
        for _ in range(4)
    ]
    told = {starter.stdout.readline().strip() for starter in starters}
    assert len(told) == 1 and told == {str(pid) for pid in processes(place)}
    assert place.state(5.0)["needed_by"] == 4
    for starter in starters:
        starter.kill()
    wait_until(lambda: place.state(5.0)["needed_by"] == 0, "it has seen that they are gone")


@pytest.mark.slow
def test_it_ends_when_nobody_needs_it(tmp_path):
    code = (
        "from mlops_assets.launcher import warm_process as it\n"
        "it.IDLE_SECONDS = 0.5; it.preload = lambda names: []; it.main()"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), "place"])
    assert process.wait(30) == 0


@pytest.mark.slow
def test_a_second_one_at_a_place_gives_way(place):
    stay(place)
    first = place.state(60.0)["pid"]
    with ThreadPoolExecutor() as threads:
        assert {process.wait(20) for process in threads.map(lambda _: place._start(), range(3))} == {0}
    assert place.state(5.0)["pid"] == first


@pytest.mark.slow
def test_the_libraries_of_the_page_are_preloaded(launched):
    made = launched.open()
    assert PROCESS in made.ended(made.launch("nothing")).tags
    (warm,) = made.warm()
    assert warm["threads"] == ["python"] and "not preloaded" not in made.place().log.read_text()


@pytest.mark.slow
def test_a_changed_module_ends_it_and_the_run_goes_to_the_code_server(launched):
    (launched.home / "lib").mkdir()
    module = launched.home / "lib" / "preloaded_here.py"
    module.write_text("ANSWER = 1\n")
    made = launched.open("preloaded_here")
    assert PROCESS in made.ended(made.launch("nothing")).tags
    (warm,) = made.warm()
    module.write_text("ANSWER = 22\n")
    run = made.ended(made.launch("nothing"))
    assert PROCESS not in run.tags
    assert f"since the warm process does not: {module} changed since" in made.events(run.run_id)
    assert PROCESS in made.ended(made.launch("nothing")).tags
    assert made.warm()[0]["pid"] != warm["pid"]


@pytest.mark.slow
def test_a_thread_is_never_forked(launched):
    (launched.home / "lib").mkdir()
    threads = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
    (launched.home / "lib" / "has_a_thread.py").write_text(threads)
    made = launched.open("has_a_thread, absent")
    run = made.ended(made.launch("nothing"))
    assert run.is_success and PROCESS not in run.tags
    assert "the warm process has 2 threads: " in made.events(run.run_id)
    said = launcher(made.instance)
    assert said.severity == "advice" and "has 2 threads: " in said.found and str(made.place().log) in said.mend
    assert "absent is not preloaded: ModuleNotFoundError" in made.place().log.read_text()


@pytest.mark.slow
def test_a_code_server_at_a_port_launches_its_runs_itself(launched):
    made = launched.open(at_port=free_port())
    run = made.ended(made.launch("nothing"))
    assert run.is_success and PROCESS not in run.tags and "warm" not in made.events(run.run_id)
    assert made.instance.run_launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING
    assert not (made.home / "dagster" / "warm").exists()
    assert "no warm process runs" in launcher(made.instance).found
