"""deploy/compose.yaml without containers: its commands and variables as processes of this machine, on free ports."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests
import yaml

from support.postgres import PASSWORD, Postgres
from support.relay import free_port
from support.servers.process import Process, running
from support.servers.server import REPOSITORY

COMPOSE = yaml.safe_load((REPOSITORY / "deploy" / "compose.yaml").read_text())
PORTS = {"s3": 8333, "mlflow": 5000, "code": 4000, "webserver": 3000}
"""The services of our own image that listen, and the ports that the file gives them."""
SECRETS = {
    "AWS_ACCESS_KEY_ID": "compose",
    "AWS_SECRET_ACCESS_KEY": "9c1f0a8e3b5d47a2",
    "MLFLOW_TRACKING_PASSWORD": "0d6b8f2c4e9a4c51",
}


class Service(Process):
    """A service of the file; what is asked of it depends on which it is."""

    name = ""

    def answers(self) -> bool:
        """Whether it answers over HTTP, where it speaks it."""
        page = {"mlflow": "health", "webserver": "server_info"}.get(self.name)
        try:
            return page is None or requests.get(f"http://127.0.0.1:{self.port}/{page}", timeout=2).ok
        except requests.RequestException:
            return False


class Composed:
    """All services of the file. `project` is the folder of a code location, in place of the image's own."""

    def __init__(self, folder: Path, project: Path, postgres: Postgres) -> None:
        self.folder, self.project, self._postgres = folder, project, postgres
        self.ports = {name: free_port() for name in PORTS}
        self.services: dict[str, Service] = {}
        self._stack = ExitStack()
        (folder / "dagster").mkdir(parents=True)
        (folder / "dagster/dagster.yaml").write_text((REPOSITORY / "deploy/dagster.yaml").read_text())

    def __enter__(self) -> "Composed":
        with ExitStack() as stack:
            for name in ("s3", "bucket", "mlflow", "code", "webserver", "daemon"):
                service = self.service(name)
                if COMPOSE["services"][name].get("restart") == "on-failure":
                    environment = {**os.environ, **self.environment(name)}
                    subprocess.run(service.command, cwd=service.folder, env=environment, check=True)
                else:
                    self.services[name] = stack.enter_context(running(service))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def service(self, name: str) -> Service:
        """Return a service that is not started yet, as the file describes it."""
        described = COMPOSE["services"][name]
        command = [self._here(word, name) for word in described["command"]]
        program = Path(sys.executable).with_name(command[0])
        made = Service(
            [str(program), *command[1:]],
            self.folder / f"{name}.log",
            folder=self.project if name == "code" else REPOSITORY,
            environment=self.environment(name),
            port=self.ports.get(name),
        )
        made.name = name
        return made

    def environment(self, name: str) -> dict[str, str]:
        """Return the variables that the file and the image give a service."""
        described: Mapping[str, Any] = COMPOSE["services"][name].get("environment", {})
        return {
            "DAGSTER_HOME": str(self.folder / "dagster"),
            "MLOPS_ASSETS_HOME": str(self.folder / name / "home"),
            "PYTHONPATH": os.pathsep.join([str(self.project), str(REPOSITORY), str(REPOSITORY / "tests")]),
            **{variable: self._here(str(value), name) for variable, value in described.items()},
        }

    def asked(self, query: str, **variables: Any) -> dict[str, Any]:
        """What the webserver answers to a query of GraphQL."""
        url = f"http://127.0.0.1:{self.ports['webserver']}/graphql"
        answer = requests.post(url, json={"query": query, "variables": variables}, timeout=30).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def _here(self, text: str, service: str) -> str:
        """Return a word of the file with the secrets put in, and the addresses and folders of this machine."""
        secrets = {**SECRETS, "POSTGRES_PASSWORD": requests.utils.quote(PASSWORD, safe="")}
        text = re.sub(r"\$\{(\w+):\?\}", lambda found: secrets[found[1]], text)
        text = text.replace("@postgres:5432", f"@127.0.0.1:{self._postgres.port}").replace("0.0.0.0", "127.0.0.1")
        for name, port in PORTS.items():
            text = re.sub(rf"\b({name}|127\.0\.0\.1|localhost):{port}\b", f"127.0.0.1:{self.ports[name]}", text)
            text = re.sub(rf"^((?:--port=)?){port}$", rf"\g<1>{self.ports[name]}", text)
            text = "127.0.0.1" if text == name == "code" else text
        return re.sub(r"^((?:--folder=)?)/data$", rf"\g<1>{self.folder / service}", text)
