"""What `make dev` does before it serves anything."""

import json
import socket

import dagster as dg
from dagster._core.test_utils import create_run_for_test

import dev
from mlops_assets.launcher.living import PROCESS, Living


def test_runs_that_died_or_whose_code_server_did_are_failed_and_others_are_left(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with socket.create_server(("127.0.0.1", 0)) as alive, socket.create_server(("127.0.0.1", 0)) as dead:
        ports = {name: server.getsockname()[1] for name, server in (("alive", alive), ("dead", dead))}
        dead.close()
        started = dg.DagsterRunStatus.STARTED
        with dg.DagsterInstance.get() as instance:
            servers = {name: {"host": "127.0.0.1", "port": port} for name, port in ports.items()}
            servers["dead too"] = {"socket": str(tmp_path / "gone.sock")}
            runs = {
                name: create_run_for_test(instance, tags={".dagster/grpc_info": json.dumps(server)}, status=started)
                for name, server in servers.items()
            }
            here = json.loads(Living.this().to_json())
            for name, process in (("forked", here), ("killed", here | {"pid": 1}), ("elsewhere", here | {"host": "x"})):
                runs[name] = create_run_for_test(instance, status=started)
                instance.add_run_tags(runs[name].run_id, {PROCESS: f"{runs[name].run_id} {json.dumps(process)}"})
            runs["in process"] = create_run_for_test(instance, status=started)
            dev.end_orphans()
            found = {name: instance.get_run_by_id(run.run_id).status.name for name, run in runs.items()}
    assert {name for name, status in found.items() if status == "FAILURE"} == {"dead", "dead too", "killed"}
    assert {name for name, status in found.items() if status == "STARTED"} == {
        "alive",
        "forked",
        "elsewhere",
        "in process",
    }
