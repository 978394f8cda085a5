"""Make buckets on S3, where they are not there yet: `python -m deploy.bucket NAME ...`."""

import os
import sys
import time

_SECONDS = 120.0


def main() -> None:
    """Make each bucket, and wait for a server that is only starting."""
    from pyarrow import fs

    store = fs.S3FileSystem(
        endpoint_override=os.environ.get("AWS_ENDPOINT_URL_S3"),
        region=os.environ.get("AWS_REGION", "us-east-1"),
        allow_bucket_creation=True,
        connect_timeout=5,
        request_timeout=10,
    )
    until = time.monotonic() + _SECONDS
    for name in sys.argv[1:]:
        while True:
            try:
                store.create_dir(name)
                break
            except OSError as error:
                if time.monotonic() > until:
                    sys.exit(f"the bucket {name} could not be made: {error}")
                time.sleep(1)


if __name__ == "__main__":
    main()
