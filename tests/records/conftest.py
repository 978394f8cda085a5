from support.postgres import postgres  # noqa: F401
