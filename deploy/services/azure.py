"""Azure Blob by Azurite, a program of npm (`make azurite`). It takes the account that Azurite is known for."""

import os
import shutil
from pathlib import Path

from deploy.services.service import HOST, arguments, become, missing

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # Microsoft's, public


def main() -> None:
    """Serve Azure Blob until a signal comes."""
    given = arguments(__doc__, 10000).parse_args()
    azurite = program()
    if azurite is None:
        missing("azurite-blob", "make azurite, which needs npm (Debian: apt-get install npm)")
    (given.folder / "data").mkdir(parents=True, exist_ok=True)
    clients = {
        "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
        "AZURE_STORAGE_ACCOUNT_KEY": KEY,
        "AZURE_STORAGE_ENDPOINT": f"http://{HOST}:{given.port}",
    }
    options = ["--location", given.folder / "data", "--blobHost", given.host, "--blobPort", given.port, "--silent"]
    # It refuses clients newer than itself unless told to skip that check, and tells its maker of its use.
    become([azurite, *options, "--skipApiVersionCheck", "--disableTelemetry"], given.folder, clients=clients)


def program() -> str | None:
    """Return the path of the program: on PATH, or where `make azurite` installs it."""
    home = Path(os.environ.get("MLOPS_ASSETS_HOME") or Path(__file__).parents[2] / ".mlops")
    installed = home.resolve() / "programs" / "node_modules" / ".bin" / "azurite-blob"
    return str(installed) if installed.exists() else shutil.which("azurite-blob")


if __name__ == "__main__":
    main()
