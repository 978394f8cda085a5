"""`segments`: many models from one declaration, each with its own fields merged over the shared ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mlops_assets.sources.yaml_form import KINDS
from mlops_assets.strict_model import Declared, DeclaredWrongly, Problem, title
from mlops_assets.text import shown

_Model = TypeVar("_Model", bound=Declared)
_SOURCES = ("source", "outcomes")


@dataclass(frozen=True)
class Segment:
    """One segment: the fields of its model, and its position in the declaration."""

    position: int
    name: str
    title: str
    own: frozenset[str]
    fields: Mapping[str, Any]

    def declared_as(self, kind: type[_Model]) -> _Model:
        """Return the model of the segment; `DeclarationError` names the segment and what is wrong with it."""
        try:
            return kind(**self.fields)
        except DeclaredWrongly as error:
            problems = [
                Problem(
                    ("segments", self.position, *problem.path) if self._own(problem) else problem.path,
                    f"segment {shown(self.name)}: {problem.text}",
                )
                for problem in error.problems
            ]
            raise DeclaredWrongly(self.title, problems) from None

    def _own(self, problem: Problem) -> bool:
        return not problem.path or problem.path[0] in self.own


def segment_fields(kind: str, declared: Mapping[str, Any]) -> list[Segment]:
    """Return the declared segments, each with all fields of its model; nested mappings are merged deeply.

    Raises `DeclarationError` for an empty list, and for a segment without its own name.
    """
    segments = declared.get("segments")
    if segments is None:
        return []
    named = title(kind, declared)
    if not segments:
        raise DeclaredWrongly(named, [Problem(("segments",), "segments: is empty; leave it out for a single model")])
    common = {name: value for name, value in declared.items() if name != "segments"}
    if problems := _wrong_names(segments):
        raise DeclaredWrongly(named, problems)
    return [
        Segment(
            position=position,
            name=segment["name"],
            title=named,
            own=frozenset(segment),
            fields={
                **_with_own_suite(_merged(common, segment), segment),
                "name": f"{declared['name']}_{segment['name']}",
            },
        )
        for position, segment in enumerate(segments)
    ]


def _wrong_names(segments: Sequence[Mapping[str, Any]]) -> list[Problem]:
    found: dict[str, int] = {}
    problems = []
    for position, segment in enumerate(segments):
        name, at = segment.get("name"), f"segments: the {position + 1}. "
        if not isinstance(name, str) or not name:
            problems.append(Problem(("segments", position), f"{at}has no name; expected a text such as 'north'"))
        elif name in found:
            text = f"{at}is called {shown(name)}, as is the {found[name] + 1}.; give each a name of its own"
            problems.append(Problem(("segments", position, "name"), text))
        elif "segments" in segment:
            problems.append(Problem(("segments", position, "segments"), f"{at}has segments of its own; list them all"))
        else:
            found[name] = position
    return problems


def _with_own_suite(fields: dict[str, Any], segment: Mapping[str, Any]) -> dict[str, Any]:
    """Give a segment a suite file of its own if none exists: one segment's suite rejects the others' batches."""
    suite = fields.get("expectations")
    if "expectations" in segment or not isinstance(suite, str | Path) or ":" in str(suite) or Path(suite).exists():
        return fields
    path = Path(suite)
    return {**fields, "expectations": str(path.with_name(f"{path.stem}_{segment['name']}{path.suffix}"))}


def _merged(common: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(common)
    for name, value in own.items():
        merged[name] = value
        before = common.get(name) if name in _SOURCES else _written(common.get(name))
        if isinstance(before, Mapping) and isinstance(value, Mapping) and not _other_kind(name, before, value):
            merged[name] = _merged(before, value)
    return merged


def _written(value: Any) -> Any:
    """Return a part of a declaration as a mapping of its declared fields."""
    return {name: getattr(value, name) for name in value.model_fields_set} if isinstance(value, Declared) else value


def _other_kind(name: str, before: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    """Return whether a source of another kind replaces the source: then no field of the old one remains."""
    if name not in _SOURCES:
        return False
    own = [kind for kind in ("type", *KINDS, "query") if kind in value]
    return bool(own) and (own[0] not in before or (own[0] == "type" and value["type"] != before["type"]))
