"""The content of a defs.yaml as plain values, and errors that name its file and lines."""

import re
from collections.abc import Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any, Self

import dagster as dg
from dagster.components.resolved.scopes import LoadContextScope
from dagster_shared.yaml_utils.source_position import SourcePositionTree
from pydantic import BaseModel, RootModel

from mlops_assets.components.templates import POST_PROCESSING, TEMPLATE, refuse_code_in_templates
from mlops_assets.errors import DeclarationError, MlopsAssetsError
from mlops_assets.lazy import jinja2
from mlops_assets.strict_model import DeclaredWrongly, FieldPath, Problem, title
from mlops_assets.text import reason, shown

MOST_VALUES = 500_000
"""The most values in one component: YAML anchors that refer to anchors turn a few lines into billions of values."""

_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")
"""A number in Python and in YAML 1.2; Dagster reads YAML 1.1, where 1e-3 is a text."""

_DOTTED = re.compile(r"[\w.]+:[\w.]+")
_NUMBERS = frozenset(("params", "space"))


def attributes_of(kind: str, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> dict[str, Any]:
    """Return the attributes of a component with their templates filled in; paths of suites begin beside the defs.yaml.

    Only texts with `{{` are templates, filled in a sandbox. Other texts stay texts (Dagster would turn '10115' into a
    number), except 1e-3 in `params` and `space`. Raise `DeclarationError`, also for a template of `post_processing`
    that reaches code: Dagster fills those in later, without a sandbox.
    """
    values = attributes.root if isinstance(attributes, RootModel) else {}
    loading: Any = LoadContextScope
    scope = {**context.resolution_context.scope, "context": loading(context)}
    filled: dict[str, Any] = _Filling(title(kind, values), scope).filled(values)
    file = getattr(context.component_decl, "component_file_model", None)
    refuse_code_in_templates(kind, values, getattr(file, "post_processing", None))
    lines, segments = _lines(context), filled.get("segments")
    folder = Path(lines.position.filename).parent if lines else Path()
    for fields in [filled, *(segments if isinstance(segments, list) else [])]:
        suite = fields.get("expectations") if isinstance(fields, dict) else None
        if isinstance(suite, str) and not _DOTTED.fullmatch(suite):
            fields["expectations"] = str(folder / suite)
    return filled


def by_line(error: MlopsAssetsError, context: dg.ComponentLoadContext | None) -> DeclarationError:
    """Return the error of a component with the file and line of each problem; without them for one in Python."""
    if not isinstance(error, DeclaredWrongly):
        return DeclarationError(_place(context, ())[1] + str(error))
    messages = [(*_place(context, problem.path), f"{error.title}: {problem.text}") for problem in error.problems]
    return DeclarationError("\n".join(place + text for _, place, text in sorted(messages, key=itemgetter(0))))


class DeclaredInYaml(dg.Component):
    """A component whose attributes its own declaration checks; errors name the lines of problems."""

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """Return the component that a defs.yaml declares."""
        try:
            return cls(**attributes_of(cls.__name__, attributes, context))
        except MlopsAssetsError as error:
            raise by_line(error, context) from None


class _Filling:
    """Fills in the templates of one component."""

    def __init__(self, title: str, scope: Mapping[str, Any]) -> None:
        self._title, self._scope, self._count = title, scope, 0

    def filled(self, value: Any, path: FieldPath = ()) -> Any:
        """Return the value with each of its templates filled in."""
        self._count += 1
        if self._count > MOST_VALUES:
            raise self._wrong((), f"holds more than {MOST_VALUES:,} values; do anchors refer to anchors?")
        if isinstance(value, Mapping):
            if other := [key for key in value if not isinstance(key, str)]:
                raise self._wrong((*path, other[0]), f"the key {shown(other[0])} is not text: write it in quotes")
            return {key: self.filled(part, (*path, key)) for key, part in value.items()}
        if isinstance(value, list):
            return [self.filled(part, (*path, number)) for number, part in enumerate(value)]
        if isinstance(value, str) and _NUMBER.fullmatch(value) and not _NUMBERS.isdisjoint(path):
            return float(value)
        return self._from_template(value, path) if isinstance(value, str) and TEMPLATE.search(value) else value

    def _from_template(self, text: str, path: FieldPath) -> Any:
        """Fill in a template as Dagster does, but in a sandbox: without underscore attributes it cannot reach code."""

        class Sandbox(jinja2.sandbox.SandboxedEnvironment, jinja2.nativetypes.NativeEnvironment):
            pass

        where = ".".join(map(str, path))
        try:
            filled = Sandbox().from_string(text).render(**self._scope)
        except Exception as error:  # a template may raise anything
            raise self._wrong(path, f"{where}: template {shown(text)}: {reason(error)}") from None
        if filled is None or isinstance(filled, jinja2.Undefined):
            known = ", ".join(sorted(self._scope))
            raise self._wrong(path, f"{where}: template {shown(text)} gives nothing (known: {known})")
        return filled

    def _wrong(self, path: FieldPath, text: str) -> DeclaredWrongly:
        return DeclaredWrongly(self._title, [Problem(path, text)])


def _place(context: dg.ComponentLoadContext | None, path: FieldPath) -> tuple[int, str]:
    """Return the line of the attribute at a path, or of the nearest attribute around it; and `file:line: `."""
    if context is None or (tree := _lines(context)) is None:
        return 0, ""
    whole = path if path[:1] == (POST_PROCESSING,) else ("attributes", *path)
    position, _ = tree.lookup_closest_and_path(list(whole), None)
    file = Path(position.filename)
    near = file.relative_to(context.project_root) if file.is_relative_to(context.project_root) else file
    return position.start.line, f"{near}:{position.start.line}: "


def _lines(context: dg.ComponentLoadContext) -> SourcePositionTree | None:
    """Return the position of each value in its file; while definitions are built, only the component's decl has it."""
    file = getattr(context.component_decl, "source_tree", None)
    tree = context.resolution_context.source_position_tree or getattr(file, "source_position_tree", None)
    return tree if isinstance(tree, SourcePositionTree) else None
