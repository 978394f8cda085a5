"""A source as YAML writes it: `{folder: data/*.csv, period: month}`, its kind first, or the glob of a folder alone."""

from collections.abc import Mapping
from typing import Any, get_args

from mlops_assets.sources import Folder, Frame, Source, Table, UpstreamAsset
from mlops_assets.sources.declared_fields import SourceDeclarationError

KINDS: dict[str, Any] = {"folder": Folder, "frame": Frame, "table": Table, "asset": UpstreamAsset}
"""The key that names the kind, whose value is the first argument of the class."""

FIRST_ARGUMENTS = {"folder": "path", "frame": "load", "table": "name", "asset": "key"}

_EXPECTED = (
    "expected the glob of a folder, or one of {folder: data/*.csv}, {frame: package.module:function}, "
    "{table: orders, url: $WAREHOUSE_URL, ...}, {asset: lake/rentals}"
)


def source_of(value: Any) -> Any:
    """The source that was written; a source itself is given back. SourceDeclarationError says what is wrong."""
    if isinstance(value, get_args(Source)):
        return value
    if isinstance(value, str):
        return Folder(value)
    if not isinstance(value, Mapping):
        raise SourceDeclarationError(f"a {type(value).__name__} is no source; {_EXPECTED}.")
    kind = kind_of(value)
    options = {str(name): option for name, option in value.items() if name != kind}
    return KINDS[kind](value.get(kind), **options)


def kind_of(written: Mapping[str, Any]) -> str:
    """The key that says of which kind a written source is; a query alone is a table's."""
    kinds = [name for name in KINDS if name in written]
    if len(kinds) > 1:
        raise SourceDeclarationError(f"has two kinds, {' and '.join(map(repr, kinds))}; {_EXPECTED}.")
    if not kinds and "query" in written:
        return "table"
    if not kinds:
        found = ", ".join(repr(name) for name in written) or "nothing"
        raise SourceDeclarationError(f"its kind is missing (found: {found}); {_EXPECTED}.")
    return kinds[0]
