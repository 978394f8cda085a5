"""Dagster's records in SQLite with connections that stay open: the same files, after forks, with other processes."""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from support.pages import blocks

(SETTINGS,) = (block.text for block in blocks("how-to/warm-runs.md") if "SqliteStorage" in block.text)
CHECKS = 12


@dg.asset(check_specs=[dg.AssetCheckSpec(f"check_{number}", asset="rows") for number in range(CHECKS)])
def rows() -> Iterator[dg.AssetCheckResult | dg.Output[int]]:
    for number in range(CHECKS):
        yield dg.AssetCheckResult(check_name=f"check_{number}", passed=number % 2 == 0)
    yield dg.Output(1, metadata={"rows": 7})


@contextmanager
def opened(home: Path, settings: str = SETTINGS) -> Iterator[dg.DagsterInstance]:
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n" + settings)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


def of_run(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """The messages of the engine events of a run."""
    return [entry.message for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)]


def new_run(instance: dg.DagsterInstance) -> dg.DagsterRun:
    return instance.create_run_for_job(dg.Definitions([rows]).resolve_implicit_global_asset_job_def())


def recorded(instance: dg.DagsterInstance) -> dict[str, object]:
    """What an instance holds of the asset and its runs."""
    event = instance.get_latest_materialization_event(dg.AssetKey("rows"))
    checks = [dg.AssetCheckKey(dg.AssetKey("rows"), f"check_{number}") for number in range(CHECKS)]
    found = instance.event_log_storage.get_latest_asset_check_execution_by_key(checks)
    return {
        "statuses": sorted(run.status.value for run in instance.get_runs()),
        "rows": event.asset_materialization.metadata["rows"].value if event else None,
        "passed": [key.name for key, check in found.items() if check.event.asset_check_evaluation.passed],
        "logs": {run.run_id: [entry.message for entry in instance.all_logs(run.run_id)] for run in instance.get_runs()},
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a run was recorded through connections that stay open."""
    home = tmp_path_factory.mktemp("written") / "home"
    with opened(home) as instance:
        assert dg.materialize([rows], instance=instance).success
    return home


def test_the_files_are_those_of_dagsters_own_storage(written: Path, tmp_path: Path):
    home = shutil.copytree(written, tmp_path / "home")
    with opened(home) as instance:
        kept = recorded(instance)
    assert kept["statuses"] == ["SUCCESS"]
    assert kept["rows"] == 7
    assert len(kept["passed"]) == CHECKS / 2
    with opened(home, "") as own:
        assert type(own.event_log_storage).__module__.startswith("dagster.")
        assert recorded(own) == kept
        assert dg.materialize([rows], instance=own).success
    with opened(home) as instance:
        assert recorded(instance)["statuses"] == ["SUCCESS", "SUCCESS"]
    assert sorted(path.name for path in home.rglob("*.db*") if path.suffix != ".db") == []  # nothing is left to copy


def test_an_instance_opens_three_files_at_most_however_many_runs_it_records(tmp_path: Path):
    def files() -> set[str]:
        links = (Path(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd"))
        return {os.readlink(link) for link in links if link.is_symlink() and str(tmp_path) in os.readlink(link)}

    with opened(tmp_path / "home") as instance:
        for _ in range(3):
            dg.materialize([rows], instance=instance)
        assert {Path(file).parent.name for file in files() if file.endswith(".db")} == {"history", "runs"}
        assert len({file for file in files() if file.endswith(".db")}) == 3  # runs, index, the newest run
    assert not files()


def test_a_fork_has_a_connection_of_its_own(tmp_path: Path):
    with opened(tmp_path / "home") as instance:
        run = new_run(instance)
        instance.report_engine_event("before", run)
        child = os.fork()
        if not child:
            try:
                instance.report_engine_event("of the child", run)
                instance.add_run_tags(run.run_id, {"by": "child"})
                os._exit(0)
            except BaseException:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        instance.report_engine_event("after", run)
        assert of_run(instance, run.run_id) == ["before", "of the child", "after"]
        assert instance.get_run_by_id(run.run_id).tags["by"] == "child"


def test_a_folder_that_was_removed_and_made_again_is_read_again(tmp_path: Path):
    with opened(tmp_path / "home") as instance:
        instance.add_dynamic_partitions("batches", ["january"])
        with opened(tmp_path / "other") as other:
            other.add_dynamic_partitions("batches", ["june", "july"])
        shutil.rmtree(tmp_path / "home")
        shutil.move(tmp_path / "other", tmp_path / "home")
        assert sorted(instance.get_dynamic_partitions("batches")) == ["july", "june"]


def test_threads_and_another_instance_write_at_once_and_nothing_is_lost(tmp_path: Path):
    with opened(tmp_path / "home") as one, opened(tmp_path / "home") as two:
        run = new_run(one)

        def write(instance: dg.DagsterInstance, name: str) -> None:
            for number in range(20):
                instance.report_engine_event(f"{name} {number}", run)
                instance.add_dynamic_partitions("batches", [f"{name} {number}"])
                instance.daemon_cursor_storage.set_cursor_values({f"{name} {number}": "seen"})

        threads = [
            threading.Thread(target=write, args=(instance, f"thread_{number}"))
            for number, instance in enumerate((one, two, one, two))
        ]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        expected = {f"thread_{thread} {number}" for thread in range(4) for number in range(20)}
        assert sorted(of_run(two, run.run_id)) == sorted(expected)
        assert set(one.get_dynamic_partitions("batches")) == expected
        assert set(one.daemon_cursor_storage.get_cursor_values(expected)) == expected


def test_a_page_that_waits_for_the_events_of_a_run_is_told_at_once(tmp_path: Path):
    with opened(tmp_path / "home") as run_process, opened(tmp_path / "home", "") as webserver:
        run = new_run(run_process)
        run_process.report_engine_event("before the page opened", run)
        told, heard = [], threading.Event()

        def hear(entry: dg.EventLogEntry, _: str) -> None:
            told.append(entry.message)
            heard.set()

        webserver.watch_event_logs(run.run_id, None, hear)
        run_process.report_engine_event("while it is open", run)
        assert heard.wait(10)
        webserver.end_watch_event_logs(run.run_id, hear)
        assert "while it is open" in told


def test_what_a_process_wrote_is_there_after_it_was_killed(tmp_path: Path):
    with opened(tmp_path / "home") as instance:
        run = new_run(instance)
    child = os.fork()
    if not child:
        with opened(tmp_path / "home") as instance:
            instance.report_engine_event("written", run)
            os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    with opened(tmp_path / "home", "") as own:
        assert of_run(own, run.run_id) == ["written"]
