"""MLflow's server: with a login, with a certificate of its own authority, with artifacts that clients get through it.

Its database is MLFLOW_BACKEND_STORE_URI, else SQLite in its folder. Where artifacts lie on S3, it needs S3's variables.
"""

import os
from pathlib import Path

from deploy.services.service import HOST, arguments, become, beside_python, kept_secret

USER = "admin"


def main() -> None:
    """Serve MLflow until a signal comes."""
    parser = arguments(__doc__, 5000)
    parser.add_argument("--artifacts", help="where they lie, such as s3://bucket/mlflow (default: in the folder)")
    parser.add_argument("--direct", action="store_true", help="clients get artifacts from there, not from the server")
    parser.add_argument("--login", action="store_true", help="ask clients for MLFLOW_TRACKING_USERNAME and _PASSWORD")
    parser.add_argument("--tls", action="store_true", help="serve https, with a certificate of an authority of its own")
    parser.add_argument("--allowed-hosts", help="names by which clients may call it (default: those of loopback)")
    given = parser.parse_args()
    folder: Path = given.folder
    folder.mkdir(parents=True, exist_ok=True)
    database = os.environ.get("MLFLOW_BACKEND_STORE_URI") or f"sqlite:///{folder / 'mlflow.db'}"
    place = given.artifacts or str(folder / "artifacts")
    command = [beside_python("mlflow"), "server", "--host", given.host, "--port", str(given.port), "--workers", "1"]
    command += (
        ["--no-serve-artifacts", "--default-artifact-root", place]
        if given.direct
        else ["--serve-artifacts", "--artifacts-destination", place]
    )
    command += ["--allowed-hosts", given.allowed_hosts] if given.allowed_hosts else []
    clients = {"MLFLOW_TRACKING_URI": f"{'https' if given.tls else 'http'}://{HOST}:{given.port}"}
    # Nothing here uses the eight processes of its jobs. The URI goes by a variable: `ps` shows arguments to all users.
    own = {
        "MLFLOW_BACKEND_STORE_URI": database,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    if given.login:
        command += ["--app-name", "basic-auth"]
        clients |= {
            "MLFLOW_TRACKING_USERNAME": os.environ.get("MLFLOW_TRACKING_USERNAME") or USER,
            "MLFLOW_TRACKING_PASSWORD": kept_secret(folder, "MLFLOW_TRACKING_PASSWORD"),
        }
        own |= _login(folder, clients["MLFLOW_TRACKING_USERNAME"], clients["MLFLOW_TRACKING_PASSWORD"])
    if given.tls:
        from deploy.services.certificates import certified

        authority, key, certificate = certified(folder / "certificates", HOST)
        command += ["--uvicorn-opts", f"--ssl-keyfile {key} --ssl-certfile {certificate}"]
        clients["MLFLOW_TRACKING_SERVER_CERT_PATH"] = str(authority)
    become(command, folder, clients=clients, own=own)


def _login(folder: Path, user: str, password: str) -> dict[str, str]:
    """Write the settings of MLflow's basic auth; return the variables of a server that reads them."""
    settings = folder / "basic_auth.ini"
    settings.touch(mode=0o600)
    settings.write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{folder / 'users.db'}\n"
        f"admin_username = {user}\nadmin_password = {password}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        "auth_cache_ttl_seconds = 60\n"  # else it hashes the password at each request: 0.25 s in place of 0.01 s
    )
    key = kept_secret(folder, "MLFLOW_FLASK_SERVER_SECRET_KEY")
    return {"MLFLOW_AUTH_CONFIG_PATH": str(settings), "MLFLOW_FLASK_SERVER_SECRET_KEY": key}


if __name__ == "__main__":
    main()
