"""A service of deploy/services, on a port and in a folder of its own."""

import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

from support.relay import free_port
from support.servers.process import Process, running

__all__ = ["REPOSITORY", "Server", "folder_of", "running"]
REPOSITORY = Path(__file__).parents[3]


class Server(Process):
    """One service, whose data lies in `data`. `environment` holds the variables that its clients set."""

    def __init__(
        self,
        service: str,
        data: Path,
        *options: str,
        answers: Callable[["Server"], bool],
        environment: Mapping[str, str] | None = None,
        port: int | None = None,
        keeps_when_killed: bool = True,
    ) -> None:
        self.data, self.environment, self._asked = data, dict[str, str](), answers
        port = port or free_port()
        program = [sys.executable, "-m", f"deploy.services.{service}"]
        super().__init__(
            [*program, "--folder", str(data), "--port", str(port), *options],
            data / "log",
            folder=REPOSITORY,
            environment={"PYTHONPATH": str(REPOSITORY), **(environment or {})},
            port=port,
            keeps_when_killed=keeps_when_killed,
        )

    def answers(self) -> bool:
        """Read what clients set, and ask the service for something."""
        self.environment = _variables(self.data / "environment")
        return self._asked(self)


@contextmanager
def folder_of(service: str) -> Iterator[Path]:
    """Give a folder that also another user may enter, as root's PostgreSQL does; remove it at the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"{service}-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        rmtree(folder, ignore_errors=True)


def _variables(path: Path) -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(path.read_text()))
