"""A source as YAML writes it: `{folder: data/*.csv, period: month}`, its kind first, or the glob of a folder alone.

A source of a user's own is written with its class: `{type: my_package.sources.Bucket, prefix: bikes/}`.
"""

from collections.abc import Mapping
from typing import Any

from mlops_assets.callables import refuse_standard_library
from mlops_assets.dotted import resolve
from mlops_assets.errors import DeclarationError
from mlops_assets.sources import Delta, Folder, Frame, Source, Table, UpstreamAsset
from mlops_assets.sources.built_in import BuiltIn
from mlops_assets.strict_model import DeclaredWrongly, Problem

KINDS: dict[str, type[BuiltIn]] = {source.kind: source for source in (Folder, Frame, Table, Delta, UpstreamAsset)}
"""The key that names the kind, whose value is the first argument of the class."""

_FORMS = (
    "the glob of a folder, or one of {folder: data/*.csv}, {frame: package.module:function}, "
    "{table: orders, url: $WAREHOUSE_URL, ...}, {delta: s3://bucket/bikes, period: day}, {asset: lake/rentals}, "
    "{type: package.module.YourSource, ...}"
)


class _WrongSource(DeclarationError, ValueError):
    """What is written is not a source. A ValueError too, so that the declaration around it reports it."""


def source_of(value: Any) -> Source:
    """Return the source that was written; a source itself is returned as it is."""
    if isinstance(value, Source):
        return value
    if isinstance(value, str):
        return Folder(value)
    if isinstance(value, type):
        raise _WrongSource(f"expected a source, got the class {value.__name__}. Call it: {value.__name__}(...).")
    if not isinstance(value, Mapping):
        own = hasattr(value, "look") or hasattr(value, "read")
        advice = "derive its class from mlops_assets.Source" if own else f"write {_FORMS}"
        raise _WrongSource(f"expected a source, got {type(value).__name__}; {advice}.")
    kind = _kind_of(value)
    options = {str(name): option for name, option in value.items() if name != kind}
    return _own_class(value["type"])(**options) if kind == "type" else KINDS[kind](value.get(kind), **options)


def _kind_of(written: Mapping[str, Any]) -> str:
    """Return the key that says of which kind a written source is; a query alone is a table's.

    A `type` decides: fields of a class of one's own may have any name.
    """
    kinds = ["type"] if "type" in written else [name for name in KINDS if name in written]
    if len(kinds) > 1:
        raise _WrongSource(f"has two kinds, {' and '.join(map(repr, kinds))}; expected {_FORMS}.")
    if not kinds and "query" in written:
        return "table"
    if not kinds:
        names = ", ".join(map(repr, written)) or "nothing"
        raise _WrongSource(f"its kind is missing (found: {names}); expected {_FORMS}.")
    return kinds[0]


def _own_class(dotted: Any) -> type[Source]:
    try:
        if not isinstance(dotted, str):
            raise DeclarationError(f"expected the dotted name of a class, got {dotted!r:.80}")
        refuse_standard_library(dotted, "source")
        kind = resolve(dotted)
        if isinstance(kind, type) and issubclass(kind, Source):
            return kind
        raise DeclarationError(f"{dotted!r:.80} does not derive from mlops_assets.Source; expected a class that does.")
    except DeclarationError as error:
        raise DeclaredWrongly("source", [Problem(("type",), f"type: {error}")]) from None
