"""Read a small YAML or JSON file strictly: plain values, no references or repeated keys, bounded size and depth."""

import json
import stat
from pathlib import Path
from typing import Any

import yaml

from mlops_assets.errors import ExpectationsError
from mlops_assets.text import shown

MAX_BYTES = 1_000_000
MAX_DEPTH = 50

# libyaml, where PyYAML was built with it, reads about ten times faster.
_BaseLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_document(path: Path) -> Any:
    """Return the content of a `.json` file, or of a file of any other name read as one YAML document.

    Raises ExpectationsError for a file that is missing, larger than 1 MB, not UTF-8 or malformed. It also refuses tags
    for values that are not plain, YAML anchors and aliases, a repeated key, and more than 50 levels.
    """
    text = _read_text(path)
    try:
        return json.loads(text, object_pairs_hook=_distinct) if path.suffix == ".json" else _from_yaml(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ExpectationsError(f"{path}: {_reason(error)}") from error


def _read_text(path: Path) -> str:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ExpectationsError(f"{path}: is not a regular file; expected a YAML or JSON file.")
        if status.st_size > MAX_BYTES:
            raise ExpectationsError(f"{path}: has {status.st_size:,} bytes; at most {MAX_BYTES:,} are read.")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ExpectationsError(f"{path}: is not UTF-8 (byte {error.start}). Save it as UTF-8.") from error
    except OSError as error:
        raise ExpectationsError(
            f"{path}: cannot be read: {error.strerror}. A relative path starts from the working directory."
        ) from error


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for name, value in pairs:
        if name in mapping:
            raise ValueError(f"the key {shown(name)} is repeated")
        mapping[name] = value
    return mapping


def _from_yaml(text: str) -> Any:
    depth, line = 0, 0
    # The events come without recursion and before any value is built, so neither depth nor references can do harm.
    for event in yaml.parse(text, Loader=_BaseLoader):
        line = event.start_mark.line + 1 if event.start_mark else line
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ValueError(f"line {line}: anchors and aliases are not read; write the value out")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ValueError(f"line {line}: more than {MAX_DEPTH} levels")
    return yaml.load(text, Loader=_StrictLoader)


class _StrictLoader(_BaseLoader):  # type: ignore[misc]
    """PyYAML's safe loader takes the last of two equal keys; this one refuses them."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key_node, _ in node.value:
            key, line = self.construct_object(key_node, deep=True), key_node.start_mark.line + 1
            if not isinstance(key, str | int | float):
                raise ValueError(f"line {line}: expected a plain key")
            if key in seen:
                raise ValueError(f"line {line}: the key {shown(key)} is repeated")
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f"line {mark.line + 1}: {shown(getattr(error, 'problem', ''), 200)}"
    return " ".join(str(error).split())[:300]
