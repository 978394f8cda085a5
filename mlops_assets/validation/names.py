"""The names of the contract's checks, apart from the checks: a code location needs them without pandas."""


def contract_names() -> tuple[str, ...]:
    """In the order in which `contract_checks` returns them."""
    return ("row_count", "columns", "dtypes", "non_null", "finite", "key_unique", "time_valid")
