"""Runs that are forked from a warm process: in the environment of their code server, ended and watched as any run."""

import json
import os
import re
import signal
import subprocess
import sys

import dagster as dg
import psutil
import pytest

from mlops_assets.cli.doctor.servers import launcher
from mlops_assets.dagster_private import WorkerStatus
from mlops_assets.launcher.forked_run import threads_of_blas
from mlops_assets.launcher.living import PROCESS, Living
from mlops_assets.launcher.run_launcher import process_of
from support.daemon import wait_until

pytestmark = pytest.mark.slow
THREADS = """
import json, scipy.stats, sklearn.ensemble
from threadpoolctl import threadpool_info
print(json.dumps(sorted({(pool["user_api"], pool["num_threads"]) for pool in threadpool_info()})))
"""
SUCCESS, FAILURE, CANCELED = (dg.DagsterRunStatus[name] for name in ("SUCCESS", "FAILURE", "CANCELED"))


def process(launching, run_id) -> Living:
    return process_of(launching.instance.get_run_by_id(run_id))


def begun(launching, run_id) -> Living:
    wait_until((launching.out / run_id).exists, "the step has begun")
    return process(launching, run_id)


def test_a_run_is_a_fork_with_folder_and_variables_of_its_code_server(launching):
    os.environ["LAUNCHER_TOLD"] = "by the process that launches"
    first, second = (launching.launch("telling") for _ in range(2))
    assert [launching.ended(run_id).status for run_id in (first, second)] == [SUCCESS, SUCCESS], launching.events(first)
    (warm,) = launching.warm()
    told = [launching.told(run_id) for run_id in (first, second)]
    started = subprocess.run([sys.executable, "-c", THREADS], env=launching.environment, capture_output=True, text=True)
    threads = json.loads(started.stdout)
    for each in told:
        assert each["parent"] == warm["pid"]
        assert each["folder"] == each["path"] == str(launching.code)
        assert each["told"] == "by the code server" and each["telemetry"] == "true"
        assert each["threads"] == threads and each["child"] == 3 and each["parallel"] == [0, 1, 2]
    assert told[0]["numpy"] != told[1]["numpy"] and told[0]["random"] != told[1]["random"]
    assert warm["threads"] == ["python"] and warm["changed"] == ""
    said = launcher(launching.instance)
    assert said.severity == "fine"
    assert re.fullmatch(
        rf"WarmRunLauncher: runs are forked from process {warm['pid']} with \d+ MB and one thread", said.found
    )
    wait_until((launching.out / f"{second}.end").exists, "what was registered for the end of the process happened")


def test_linear_algebra_has_the_threads_that_the_environment_asks_for():
    processors = len(os.sched_getaffinity(0))
    asked = [
        {},
        {"OMP_NUM_THREADS": "1"},
        {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "2"},
        {"OMP_NUM_THREADS": "x"},
    ]
    assert [threads_of_blas(variables) for variables in asked] == [processors, 1, 1, processors]
    assert threads_of_blas({"OMP_NUM_THREADS": "999"}) == processors


def test_each_run_loads_the_code_anew(launching):
    for answer in ("one", "two"):
        (launching.code / "answer.txt").write_text(answer)
        run_id = launching.launch("telling")
        assert launching.ended(run_id).status == SUCCESS
        assert launching.told(run_id)["code"] == answer


def test_steps_with_processes_of_their_own(launching):
    assert launching.ended(launching.launch("steps_apart")).status == SUCCESS


def test_a_run_is_terminated_in_its_step_and_before_it(launching):
    run_id = launching.launch("waiting")
    here = begun(launching, run_id)
    assert launching.instance.run_launcher.terminate(run_id) is True
    assert launching.ended(run_id).status == CANCELED
    wait_until(lambda: not here.is_alive, "its process has ended")
    assert launching.instance.run_launcher.terminate(run_id) is False

    before_its_process = launching.launch("waiting")
    launching.instance.run_launcher.terminate(before_its_process)
    assert launching.ended(before_its_process).status == CANCELED, launching.events(before_its_process)

    while_it_loads = launching.launch("waiting")
    wait_until(
        lambda: PROCESS in launching.instance.get_run_by_id(while_it_loads).tags, "it has a process", pause=0.005
    )
    assert launching.instance.run_launcher.terminate(while_it_loads) is True
    assert launching.ended(while_it_loads).status == CANCELED, launching.events(while_it_loads)
    assert not (launching.out / while_it_loads).exists()


def test_a_killed_run_is_seen_by_the_health_check(launching):
    of_runs, run_id = launching.instance.run_launcher, launching.launch("waiting")
    here = begun(launching, run_id)
    run = launching.instance.get_run_by_id(run_id)
    assert of_runs.check_run_worker_health(run).status == WorkerStatus.RUNNING
    os.kill(here.pid, signal.SIGKILL)
    wait_until(lambda: not here.is_alive, "it is gone")
    health = of_runs.check_run_worker_health(run)
    assert health.status == WorkerStatus.FAILED and f"process {here.pid} of {here.host} is gone" in health.msg
    assert of_runs.terminate(run_id) is False
    told = json.loads(here.to_json())
    elsewhere = run.with_tags({PROCESS: f"{run_id} {json.dumps({**told, 'host': 'another'})}"})
    assert of_runs.check_run_worker_health(elsewhere).status == WorkerStatus.RUNNING
    repeat = launching.launch("waiting", **{PROCESS: run.tags[PROCESS]})
    assert begun(launching, repeat) != here
    forged = f"{repeat} {Living.this().to_json()}"
    launching.instance.add_run_tags(repeat, {PROCESS: forged})
    assert of_runs.terminate(repeat) is False  # and this process goes on
    os.kill(int(re.search(r"pid: (\d+)", launching.events(repeat))[1]), signal.SIGINT)
    assert launching.ended(repeat).status == CANCELED
    launching.instance.report_run_failed(run)


def test_a_killed_warm_process_takes_no_run_with_it_and_the_next_run_has_another(launching):
    run_id = launching.launch("waiting")
    here = begun(launching, run_id)
    (warm,) = launching.warm()
    os.kill(warm["pid"], signal.SIGKILL)
    wait_until(lambda: psutil.Process(warm["pid"]).status() == psutil.STATUS_ZOMBIE, "it is gone")
    following = launching.launch("telling")
    assert launching.ended(following).status == SUCCESS and PROCESS in launching.instance.get_run_by_id(following).tags
    assert launching.warm()[0]["pid"] != warm["pid"]
    assert here.is_alive and launching.instance.run_launcher.terminate(run_id) is True
    assert launching.ended(run_id).status == CANCELED


def test_a_fork_that_ends_before_the_run_begins_leaves_it_to_the_code_server(launching, monkeypatch):
    monkeypatch.setattr(dg, "serialize_value", lambda value: "no instance")
    run_id = launching.launch("nothing")
    monkeypatch.undo()
    run = launching.ended(run_id)
    assert run.status == SUCCESS and process_of(run) is None
    assert "the process of the run ended before it began" in launching.events(run_id)


def test_the_tag_of_a_fork_that_ended_is_not_that_of_the_run(launching):
    run_id = launching.launch("nothing")
    assert process_of(launching.ended(run_id)) is not None
    launching.instance.run_launcher._forget_process(run_id)
    assert process_of(launching.instance.get_run_by_id(run_id)) is None


def test_runs_leave_no_descriptor_and_no_process(launching):
    launching.ended(launching.launch("nothing"))
    (warm,) = launching.warm()
    of_warm, of_launcher = (f"/proc/{pid}/fd" for pid in (warm["pid"], os.getpid()))
    before = len(os.listdir(of_warm)), len(os.listdir(of_launcher))
    runs = [launching.launch("nothing") for _ in range(10)]
    processes = [launching.ended(run_id) and process(launching, run_id) for run_id in runs]
    wait_until(lambda: not any(each.is_alive for each in processes), "they are gone")
    assert len(os.listdir(of_warm)) <= before[0] and len(os.listdir(of_launcher)) <= before[1]
    assert not any(os.path.exists(f"/proc/{each.pid}") for each in processes)  # no zombie either
