"""Errors of sources: named by source and batch, and what a user's code raised in one line that may be shown."""

import difflib
import re
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from mlops_assets.errors import DeclarationError, SourceError, SourceUnavailableError

_LISTED = 20


@contextmanager
def named(*names: str) -> Iterator[None]:
    """Begin the message of an error with the names of what it is about, and end it with a full stop."""
    try:
        yield
    except (DeclarationError, SourceError) as problem:
        kinds = (DeclarationError, SourceUnavailableError, SourceError)
        kind = next(kind for kind in kinds if isinstance(problem, kind))
        raise kind(": ".join([*names, f"{str(problem).removesuffix('.')}."])) from None


def alternatives(name: str, names: Iterable[str], what: str) -> str:
    """Return the end of a message that there is no such name: the nearest name, whatever its case, and all names."""
    known = sorted(names)
    lower = {other.lower(): other for other in known}
    close = difflib.get_close_matches(name.lower(), lower, n=1)
    meant = f"; did you mean {lower[close[0]]!r:.80}?" if close else ""
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    return f"{meant} ({what}: {', '.join(f'{other:.80}' for other in known[:_LISTED]) or 'none'}{more})"


def masked(text: str) -> str:
    """Return a text without passwords and queries of the addresses in it: both may hold a secret."""
    return re.sub(r"(://[^\s?]*)\?\S*", r"\1?***", re.sub(r"://\S*@", "://***@", text))


def what_raised(problem: Exception) -> str:
    """Return the kind, the text and the place of an exception, without the secrets of an address in it."""
    text = masked(str(problem))
    place = traceback.extract_tb(problem.__traceback__)[-1]
    return (
        f"raised {type(problem).__name__}: {text:.200} ({place.name}, line {place.lineno}). Mend it; nothing was read"
    )
