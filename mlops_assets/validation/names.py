"""The names of the contract's checks, apart from the checks: a code location needs them without pandas."""


def contract_names() -> tuple[str, ...]:
    """Return the names of the checks in the order of `contract_checks`."""
    return ("row_count", "columns", "dtypes", "non_null", "finite", "key_unique", "time_valid")
