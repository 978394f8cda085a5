"""What a user's code raised, in one line that may be shown."""

import re
import traceback


def what_raised(problem: Exception) -> str:
    """Return the kind, the text and the place of an exception, without the password of an address in it."""
    text = re.sub(r"://[^/@\s]*@", "://***@", str(problem))
    place = traceback.extract_tb(problem.__traceback__)[-1]
    return (
        f"raised {type(problem).__name__}: {text:.200} ({place.name}, line {place.lineno}). Mend it; nothing was read."
    )
