"""`mlops-assets doctor`: each thing that an instance lacks is found, with what mends it; what we ship is fine."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.test_utils import create_run_for_test
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.types import DaemonHeartbeat
from dagster._utils.error import SerializableErrorInfo

from mlops_assets import Folder, ModelPipeline
from mlops_assets.cli.doctor import exposure
from mlops_assets.cli.doctor.command import at_once
from mlops_assets.cli.doctor.daemons import schedules, sensors, slots
from mlops_assets.cli.doctor.findings import Finding, fine
from mlops_assets.cli.doctor.settings import settings
from mlops_assets.sensors.retraining.sensor import retraining_sensor
from support.deployment import REPOSITORY
from support.lived import Lived, run
from support.relay import Relay, free_port

SHIPPED = yaml.safe_load((REPOSITORY / "dagster.yaml").read_text())


@pytest.fixture(autouse=True)
def no_servers_of_others(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What else listens on this machine, such as servers of other tests, is no fault of the instance."""
    table = tmp_path_factory.mktemp("net") / "tcp"
    table.write_text("sl local_address rem_address st\n")
    monkeypatch.setattr(exposure, "_TABLES", (table,))


def examined(lived: Lived) -> tuple[int, dict[str, dict[str, str]]]:
    """The exit code of `doctor --json` and its findings by name."""
    said = lived.run("doctor", "--json")
    told = json.loads(said.out)
    assert set(told) == {"faults", "advice", "findings"}
    assert all(set(each) == {"name", "severity", "found", "why", "mend"} for each in told["findings"])
    counted = [sum(each["severity"] == kind for each in told["findings"]) for kind in ("fault", "advice")]
    assert counted == [told["faults"], told["advice"]] and said.code == (1 if told["faults"] else 0)
    return said.code, {each["name"]: each for each in told["findings"]}


def faults(findings: dict[str, dict[str, str]]) -> set[str]:
    return {name for name, each in findings.items() if each["severity"] == "fault"}


def test_nothing_is_wrong_with_what_we_ship_while_its_daemon_runs(copied: Lived):
    instance = copied.model.instance
    for daemon in instance.get_required_daemon_types():
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), daemon, "one"))
    code, found = examined(copied)
    assert (code, faults(found)) == (0, set())
    assert {name for name, each in found.items() if each["severity"] == "advice"} == {
        "stores of Dagster",
        "MLflow address",
    }
    names = {"sensor new_data", "sensor retraining", "sensor registry_watch", "sensor alerts", "MLflow", "versions"}
    assert names <= set(found) and "schedule retraining_0_3_x_x_x_UTC" in found
    assert found["code location"]["found"].endswith("cli_location.py (-f)")


def test_a_daemon_that_is_off_is_a_fault_and_the_rest_is_looked_at(lived: Lived):
    code, found = examined(lived)
    assert (code, faults(found)) == (1, {"daemon"})
    assert "not alive, never seen" in found["daemon"]["found"] and "dagster-daemon run" in found["daemon"]["mend"]
    text = " ".join(lived.run("doctor").out.split())
    assert "fault daemon: 'EVENT_LOG_CONSUMER'" in text and "faults: 1, advice: 2" in text


def without(*path: str) -> dict[str, Any]:
    """The shipped dagster.yaml without a setting."""
    config: dict[str, Any] = json.loads(json.dumps(SHIPPED))
    inner = config
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return config


def merged(config: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """`config` with what `other` sets."""
    both = {name: merged(config[name], other[name]) for name in config if isinstance(other.get(name), dict)}
    return {**config, **other, **both}


def of_settings(folder: Path, config: dict[str, Any]) -> dict[str, Finding]:
    folder.mkdir()
    (folder / "dagster.yaml").write_text(yaml.safe_dump(config))
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        return {each.name: each for each in settings(instance, ["rentals"])}


@pytest.mark.fault(37)
@pytest.mark.parametrize(
    ("config", "name", "severity", "found"),
    [
        (without("concurrency", "pools"), "pool limit", "fault", "default_limit is not set"),
        (without("concurrency"), "pool limit", "fault", "default_limit is not set"),
        (without("concurrency", "pools", "granularity"), "pool granularity", "advice", "granularity is not set"),
        (without("concurrency", "pools", "default_limit"), "pool limit", "fault", "default_limit is not set"),
        (merged(SHIPPED, {"concurrency": {"pools": {"default_limit": 3}}}), "pool limit", "fault", "is 3"),
        (merged(SHIPPED, {"concurrency": {"pools": {"granularity": "run"}}}), "pool granularity", "fault", "is run"),
        (without("run_monitoring", "free_slots_after_run_end_seconds"), "slots freed", "fault", "is not set"),
        (without("run_monitoring", "max_runtime_seconds"), "longest run", "fault", "is not set"),
        (merged(SHIPPED, {"run_monitoring": {"enabled": False}}), "run monitoring", "fault", "is not enabled"),
        (merged(SHIPPED, {"run_monitoring": {"enabled": False}}), "slots freed", "fault", "run_monitoring is off"),
        (without("run_monitoring"), "run monitoring", "fault", "is not enabled"),
        (without("run_retries"), "run retries", "fault", "is not enabled"),
        (without("run_retries", "retry_on_asset_or_op_failure"), "run retries", "advice", "is not false"),
        (without("telemetry"), "telemetry of Dagster", "fault", "on"),
    ],
)
def test_a_setting_that_is_missing_is_found_and_mended_by_what_is_told(
    tmp_path: Path, config: dict[str, Any], name: str, severity: str, found: str
):
    told = of_settings(tmp_path / "before", config)[name]
    assert (told.severity, told.found.endswith(found)) == (severity, True) and told.why
    after = of_settings(tmp_path / "after", merged(config, yaml.safe_load(told.mend)))
    assert after[name].severity == "fine"


def test_the_settings_that_we_ship_are_fine(tmp_path: Path):
    told = of_settings(tmp_path / "ours", SHIPPED)
    assert [name for name, each in told.items() if each.severity != "fine"] == ["stores of Dagster"]
    assert told["slots freed"].found == "slots are freed 60 s after a run ends"
    assert told["longest run"].found == "a run is ended after 14400 s"


def test_an_instance_without_a_dagster_yaml_has_every_fault(lived: Lived, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    _, found = examined(lived)
    missing = {"pool limit", "slots freed", "longest run", "run retries", "telemetry of Dagster", "daemon"}
    assert missing <= faults(found)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance of ours."""
    (tmp_path / "dagster.yaml").write_text((REPOSITORY / "dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        yield made


def test_a_limit_of_a_pool_itself_goes_before_the_default(instance: dg.DagsterInstance):
    instance.event_log_storage.set_concurrency_slots("rentals_champion", 2)
    told = {each.name: each for each in settings(instance, ["rentals", "other"])}["pool limit"]
    assert (told.severity, told.found) == ("fault", "the limit of 'rentals_champion' is not 1")
    instance.event_log_storage.set_concurrency_slots("rentals_champion", 1)
    assert {each.name: each for each in settings(instance, ["rentals"])}["pool limit"].severity == "fine"


@pytest.mark.fault(37)
def test_a_slot_that_a_dead_run_holds_is_found(instance: dg.DagsterInstance):
    store = instance.event_log_storage
    store.set_concurrency_slots("rentals_champion", 1)
    run_id = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED).run_id
    store.claim_concurrency_slot("rentals_champion", run_id, "step")
    assert [each.severity for each in slots(instance)] == ["fine"]
    instance.report_run_failed(instance.get_run_by_id(run_id))
    [told] = slots(instance)
    assert (told.severity, told.found) == ("fault", f"rentals_champion is held by '{run_id[:8]}', which ended")
    store.free_concurrency_slots_for_run(run_id)
    assert [each.severity for each in slots(instance)] == ["fine"]


def origin(name: str) -> Any:
    target = LoadableTargetOrigin(python_file="definitions.py")
    location = InProcessCodeLocationOrigin(loadable_target_origin=target, location_name="here")
    return RemoteRepositoryOrigin(location, "__repository__").get_instigator_origin(name)


def test_sensors_that_are_stopped_fail_or_are_not_there_are_named(instance: dg.DagsterInstance):
    repository = dg.Definitions(sensors=[retraining_sensor()]).get_repository_def()

    def told() -> dict[str, Finding]:
        return {each.name: each for each in sensors(instance, repository, "here")}

    assert told()["sensor retraining"] == fine("sensor retraining", "switched on, no tick yet")
    assert {name for name, each in told().items() if each.severity == "fault"} == {
        "sensor new_data",
        "sensor registry_watch",
    }
    assert told()["sensor alerts"].severity == "advice"
    data = SensorInstigatorData(min_interval=30)
    state = InstigatorState(origin("retraining"), InstigatorType.SENSOR, InstigatorStatus.STOPPED, data)
    instance.add_instigator_state(state)
    assert (told()["sensor retraining"].severity, told()["sensor retraining"].found) == ("fault", "stopped")
    instance.update_instigator_state(state.with_status(InstigatorStatus.RUNNING))
    assert told()["sensor retraining"].severity == "fine"
    error = SerializableErrorInfo("RegistryError: away\n", [], "RegistryError")
    tick = (state.instigator_origin_id, "retraining", InstigatorType.SENSOR, TickStatus.FAILURE, time.time())
    instance.create_tick(TickData(*tick, error=error, selector_id=state.selector_id))
    assert told()["sensor retraining"].found == "its last tick failed: RegistryError: away"
    assert told()["sensor retraining"].severity == "fault"


def test_a_clock_that_is_declared_and_not_there_is_named(instance: dg.DagsterInstance):
    rule = {"cron": "0 4 * * *"}
    model = ModelPipeline(
        name="nightly", source=Folder("x.csv"), target="y", estimator="sklearn.linear_model.Ridge", retraining=rule
    )
    empty = dg.Definitions().get_repository_def()
    [told] = schedules(instance, empty, "here", [model])
    assert (told.name, told.severity, told.found) == ("schedule 0 4 * * *", "fault", "not in the code location")
    assert told.why == "Not retrained by the clock, as declared: 'nightly'."
    schedule = dg.ScheduleDefinition(name="own", cron_schedule="0 4 * * *", target="*")
    [told] = schedules(instance, dg.Definitions(schedules=[schedule]).get_repository_def(), "here", [model])
    assert (told.name, told.severity, told.found) == ("schedule own", "fault", "stopped")
    both = dg.Definitions(
        schedules=[schedule, dg.ScheduleDefinition(name="retraining_0_4", cron_schedule="0 4 * * *", target="*")]
    )
    [told] = schedules(instance, both.get_repository_def(), "here", [model])
    assert told.name == "schedule retraining_0_4"  # one of another purpose at the same hour is no concern


def test_a_registry_that_swallows_what_it_is_asked_is_told_and_holds_up_nothing(
    lived: Lived, monkeypatch: pytest.MonkeyPatch
):
    relay = Relay(free_port())
    relay.set("swallow")
    monkeypatch.setenv("CLI_MLFLOW", f"http://127.0.0.1:{relay.port}")
    _, found = examined(lived)
    assert faults(found) == {"daemon", "MLflow"}
    assert f"MLflow at http://127.0.0.1:{relay.port} did not" in found["MLflow"]["found"]
    relay.set("refuse")
    assert faults(examined(lived)[1]) == {"daemon", "MLflow"}


def test_an_address_in_an_unset_variable_is_a_finding(lived: Lived, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLI_MLFLOW", "$NOT_SET")
    _, found = examined(lived)
    assert faults(found) == {"daemon", "resources"}
    assert "variable NOT_SET, which holds the address of MLflow, is not set" in found["resources"]["found"]
    assert {"slots freed", "sensor new_data", "versions"} <= set(found)


def test_no_database_is_made_by_looking_for_one(lived: Lived, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLI_HOME", str(tmp_path))
    _, found = examined(lived)
    assert found["MLflow"]["found"] == f"there is no database at {tmp_path / 'mlflow.db'}"
    assert found["MLflow"]["severity"] == "advice" and not (tmp_path / "mlflow.db").exists()


def test_telemetry_that_is_switched_on_is_found(lived: Lived, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    monkeypatch.setenv("DO_NOT_TRACK", "0")
    monkeypatch.setenv("GX_ANALYTICS_ENABLED", "true")
    packages = ("MLflow", "Great Expectations", "Evidently")
    _, found = examined(lived)
    assert faults(found) == {"daemon", *(f"telemetry of {package}" for package in packages)}
    assert found["telemetry of MLflow"]["mend"] == "export MLFLOW_DISABLE_TELEMETRY=true, or do not set it"


def test_without_instance_or_code_location_the_rest_is_still_looked_at(
    lived: Lived, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("DAGSTER_HOME")
    _, found = examined(lived)
    assert faults(found) == {"instance"} and "DAGSTER_HOME is not set" in found["instance"]["found"]
    assert {"versions", "telemetry of MLflow", "reachable servers"} <= set(found)
    monkeypatch.setenv("DAGSTER_HOME", str(lived.home / "dagster"))
    monkeypatch.chdir(tmp_path)
    said = run("doctor", "--json")
    named = {each["name"]: each for each in json.loads(said.out)["findings"]}
    assert said.code == 1 and faults(named) == {"code location", "daemon"}
    assert "there is no code location in" in named["code location"]["found"] and "slots freed" in named


def test_a_probe_that_breaks_or_hangs_is_told_and_holds_up_no_other():
    never = threading.Event()

    def hangs() -> list[Finding]:
        never.wait(60)
        return []

    def breaks() -> list[Finding]:
        raise ValueError("no such table")

    told = at_once({"one": hangs, "two": breaks, "three": lambda: [fine("three", "well")]}, seconds=0.5)
    never.set()
    assert [(each.name, each.severity) for each in told] == [("one", "fault"), ("two", "advice"), ("three", "fine")]
    assert told[0].found == "no answer within 0.5 s"
    assert told[1].found == "could not be looked at: ValueError: no such table"
