from support.postgres import postgres  # noqa: F401
from support.servers.stores import s3, s3_bucket  # noqa: F401
