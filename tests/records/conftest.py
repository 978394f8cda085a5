from postgres import postgres  # noqa: F401
