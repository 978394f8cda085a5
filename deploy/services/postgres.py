"""PostgreSQL, Debian's package. Root's process runs it as `nobody`, since PostgreSQL refuses root."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

from deploy.services.service import HOST, arguments, become, kept_secret, missing

USER = "mlops"
DATABASES = ("dagster", "mlflow", "mlops_assets")


def main() -> None:
    """Serve PostgreSQL until a signal comes."""
    parser = arguments(__doc__, 5432)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the server")
    given = parser.parse_args()
    binaries, folder = programs(), given.folder
    if binaries is None:
        missing("PostgreSQL", "apt-get install postgresql (Debian)")
    folder.mkdir(parents=True, exist_ok=True)
    password = kept_secret(folder, "POSTGRES_PASSWORD")
    user: dict[str, Any] = {"user": "nobody", "extra_groups": []} if os.getuid() == 0 else {}
    if not (folder / "data" / "PG_VERSION").exists():
        _create(binaries, folder, password, user)
    address = f"{USER}:{quote(password, safe='')}@{HOST}:{given.port}"
    clients = {
        # The drivers are named: SQLAlchemy 2.1 reads postgresql:// as psycopg 3, by which Dagster cannot NOTIFY.
        "DAGSTER_DATABASE": f"postgresql+psycopg2://{address}/dagster?connect_timeout=10&options=-ctimezone%3DUTC",
        "MLFLOW_BACKEND_STORE_URI": f"postgresql+psycopg2://{address}/mlflow",
        "MLOPS_ASSETS_DATABASE": f"postgresql+psycopg://{address}/mlops_assets",
    }
    settings = [f"listen_addresses={given.host}", "unix_socket_directories=", *given.set]
    command = [binaries / "postgres", "-D", folder / "data", "-p", given.port]
    if user:
        command = ["setpriv", "--reuid=nobody", "--clear-groups", *command]
    become([*command, *(word for each in settings for word in ("-c", each))], folder, clients=clients)


def programs() -> Path | None:
    """Return the folder of the newest PostgreSQL on this machine."""
    paths = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    return max(paths, key=lambda path: float(path.parent.name), default=None)


def _create(binaries: Path, folder: Path, password: str, user: dict[str, Any]) -> None:
    """Create the files of the server, and its databases."""
    shutil.rmtree(folder / "data", ignore_errors=True)  # of a first start that was killed
    (folder / "data").mkdir(mode=0o700)
    if user:
        nobody = pwd.getpwnam("nobody").pw_uid
        os.chown(folder / "data", nobody, -1)
    secret = os.memfd_create("password", 0)  # read by initdb alone: the folder may be closed to its user
    os.write(secret, password.encode())
    os.lseek(secret, 0, os.SEEK_SET)
    options = [f"--username={USER}", "--auth=scram-sha-256", "--encoding=UTF8", f"--pwfile=/dev/fd/{secret}"]
    made: dict[str, Any] = {"cwd": "/", "check": True, "stdout": subprocess.DEVNULL, **user}
    subprocess.run([binaries / "initdb", "-D", folder / "data", *options], pass_fds=[secret], **made)
    commands = "".join(f"CREATE DATABASE {name};\n" for name in DATABASES)
    alone = [binaries / "postgres", "--single", "-D", folder / "data", "postgres"]
    subprocess.run(alone, input=commands, text=True, stderr=subprocess.DEVNULL, **made)


if __name__ == "__main__":
    main()
