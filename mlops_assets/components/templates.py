"""Templates in `post_processing` of a defs.yaml: Dagster fills them in without a sandbox, so they are checked first."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mlops_assets.lazy import jinja2
from mlops_assets.strict_model import DeclaredWrongly, FieldPath, Problem, title
from mlops_assets.text import shown

POST_PROCESSING = "post_processing"
TEMPLATE = re.compile(r"\{[{%#]")

_HARMLESS = re.compile("Template|Output|TemplateData|Const|Name|Getattr|Call|Keyword|List|Tuple|Dict|Pair")
"""Nodes of a template that name values and call them."""

_FRAMES = re.compile(r"_|mro$|(f|tb|gi|cr|ag|co)_")
"""Names of attributes that lead from a value to its class, its module or a frame, and so to any code."""


def refuse_code_in_templates(kind: str, attributes: Mapping[str, Any], post_processing: Any) -> None:
    """Raise `DeclaredWrongly` for a template that does more than name values, public attributes and calls of them.

    The template is parsed, not rendered: in a sandbox it could take another branch than without a sandbox.
    """
    for path, text in _texts(post_processing, (POST_PROCESSING,)):
        if TEMPLATE.search(text) and (reason := _reaches(text)):
            where = ".".join(map(str, path))
            message = f"{where}: template {shown(text)} is refused: {reason}. Dagster would execute it: write values."
            raise DeclaredWrongly(title(kind, attributes), [Problem(path, message)])


def _texts(value: Any, path: FieldPath) -> Iterator[tuple[FieldPath, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _texts(str(key), (*path, key))
            yield from _texts(part, (*path, key))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _texts(part, (*path, number))


def _reaches(text: str) -> str:
    """Return what in a template could reach code, "" for nothing."""
    try:
        parsed = jinja2.Environment().parse(text)
    except jinja2.TemplateSyntaxError as error:
        return f"it cannot be read ({error.message})"
    for node in [parsed, *parsed.find_all(jinja2.nodes.Node)]:
        if not _HARMLESS.fullmatch(type(node).__name__):
            return f"{type(node).__name__.lower()} is not allowed here"
        if isinstance(node, jinja2.nodes.Name) and node.name in jinja2.defaults.DEFAULT_NAMESPACE:
            return f"{node.name} is a function of the template engine"
        if isinstance(node, jinja2.nodes.Getattr) and _FRAMES.match(node.attr):
            return f"the attribute {node.attr} leads to code"
    return ""
