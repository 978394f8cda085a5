"""`segments`: many models from one declaration, each with its own fields merged over the shared ones."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from mlops_assets.sources.yaml_form import KINDS
from mlops_assets.strict_model import Declared, DeclaredWrongly, Problem, title
from mlops_assets.text import shown

_Model = TypeVar("_Model", bound=Declared)
_SOURCES = ("source", "outcomes")


def models_of_segments(kind: type[_Model], declared: Mapping[str, Any]) -> Iterator[_Model]:
    """Yield the model of each declared segment; nested mappings are merged deeply.

    Raises `DeclarationError` for an empty list, and for a segment without its own name or with wrong fields.
    """
    segments = declared.get("segments")
    if segments is None:
        return
    model = title(kind.__name__, declared)
    if not segments:
        raise DeclaredWrongly(model, [Problem(("segments",), "segments: is empty; leave it out for a single model")])
    if problems := _wrong_names(segments):
        raise DeclaredWrongly(model, problems)
    shared = {name: value for name, value in declared.items() if name != "segments"}
    for position, segment in enumerate(segments):
        fields = _with_own_suite(_merged(shared, segment), segment)
        try:
            yield kind(**{**fields, "name": f"{declared['name']}_{segment['name']}"})
        except DeclaredWrongly as error:
            raise DeclaredWrongly(
                model, [_of_segment(problem, position, segment) for problem in error.problems]
            ) from None


def _of_segment(problem: Problem, position: int, segment: Mapping[str, Any]) -> Problem:
    """Return a problem with the name of its segment, and with its place in the segment if it is a field there."""
    own = not problem.path or problem.path[0] in segment
    path = ("segments", position, *problem.path) if own else problem.path
    return Problem(path, f"segment {shown(segment['name'])}: {problem.text}")


def _wrong_names(segments: Sequence[Mapping[str, Any]]) -> list[Problem]:
    positions: dict[str, int] = {}
    problems = []
    for position, segment in enumerate(segments):
        name, at = segment.get("name"), f"segments: the {position + 1}. "
        if not isinstance(name, str) or not name:
            problems.append(Problem(("segments", position), f"{at}has no name; expected a text such as 'north'"))
        elif name in positions:
            text = f"{at}is called {shown(name)}, as is the {positions[name] + 1}.; give each a name of its own"
            problems.append(Problem(("segments", position, "name"), text))
        elif "segments" in segment:
            problems.append(Problem(("segments", position, "segments"), f"{at}has segments of its own; list them all"))
        else:
            positions[name] = position
    return problems


def _with_own_suite(fields: dict[str, Any], segment: Mapping[str, Any]) -> dict[str, Any]:
    """Give a segment a suite file of its own if none exists: one segment's suite rejects the others' batches."""
    suite = fields.get("expectations")
    if "expectations" in segment or not isinstance(suite, str | Path) or ":" in str(suite) or Path(suite).exists():
        return fields
    path = Path(suite)
    return {**fields, "expectations": str(path.with_name(f"{path.stem}_{segment['name']}{path.suffix}"))}


def _merged(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**shared, **own}
    for name, value in own.items():
        before = shared.get(name)
        if isinstance(before, Declared) and name not in _SOURCES:
            before = {field: getattr(before, field) for field in before.model_fields_set}
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            merged[name] = value if name in _SOURCES and _other_kind(before, value) else _merged(before, value)
    return merged


def _other_kind(before: Mapping[str, Any], source: Mapping[str, Any]) -> bool:
    """Return whether a source is of another kind than the source before: then it keeps no field of that source."""
    kind = next((kind for kind in ("type", *KINDS, "query") if kind in source), None)
    return kind is not None and (kind not in before or (kind == "type" and source["type"] != before["type"]))
