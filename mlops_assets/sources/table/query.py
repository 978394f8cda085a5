"""Refuses a declared query that is not one single SELECT."""

import re

_NOT_SQL = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
_WRITES = re.compile(r"\b(INSERT|UPDATE|DELETE|MERGE|DROP|CREATE|ALTER|TRUNCATE|GRANT|REVOKE|INTO)\b", re.IGNORECASE)


def single_select(query: str) -> str:
    """Return the query without a last ";"; ValueError where it is more, or other, than one SELECT.

    The database holds it too: the query runs as a sub-select in a transaction that cannot write.
    """
    query = query.strip().removesuffix(";").rstrip()
    code = _NOT_SQL.sub(" ", query)
    first = re.match(r"[\s(]*(\w*)", code)
    if first is None or first.group(1).upper() not in ("SELECT", "WITH"):
        raise _refused("does not begin with SELECT or WITH")
    if ";" in code:
        raise _refused("holds ';' and more after it")
    if "\0" in query:
        raise _refused("holds a NUL")
    if word := _WRITES.search(code):
        raise _refused(f"holds {word.group().upper()} (quote it where it is the name of a column)")
    return query


def _refused(why: str) -> ValueError:
    return ValueError(f"{why}; expected one single SELECT that only reads")
