from support.postgres import postgres  # noqa: F401
from support.servers.stores import any_bucket, azure, azure_bucket, s3, s3_bucket  # noqa: F401
