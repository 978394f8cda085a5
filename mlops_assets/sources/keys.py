"""Keys of batches: safe as paths and as partition keys; digests for marks."""

import hashlib
import re

SAFE = "a-z, A-Z, 0-9, '.', '_' and '-' only, at most 100 of them"
"""What a key consists of, for messages."""

_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}\Z")


def is_safe(name: str) -> bool:
    """Return whether a name is safe as path and partition key: 1 to 100 of [A-Za-z0-9._-], no leading "." or "-"."""
    return bool(_SAFE.match(name))


def safe_key(name: str) -> str:
    """Return the name itself where it is safe, else a readable part of it with 8 hex digits of its SHA-256."""
    return name if is_safe(name) else hashed_key(name)


def hashed_key(name: str) -> str:
    """Return a safe key that tells names apart which would look alike once made safe."""
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-")[:60].strip("-") or "batch"
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{slug}-{digest[:8]}"


def short_digest(text: str) -> str:
    """Return 16 hex digits that change with the text, such as the mark of a batch."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
