"""The other components of a code location, for a component of the pack: their models and conflicts."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import dagster as dg
from dagster.components.core.decl import ComponentDecl, PythonFileDecl

from mlops_assets.assets.shared.keys import MODEL, asset_key, declared
from mlops_assets.declaration import Declaration
from mlops_assets.errors import DeclarationError
from mlops_assets.text import shown

_NAMES: "WeakKeyDictionary[Any, dict[str, Any]]" = WeakKeyDictionary()


def refuse_second_of_a_name(names: Iterable[str], context: dg.ComponentLoadContext) -> None:
    """Raise `DeclarationError` if another component of the code location has a model of the same name."""
    # The tree lives as long as one load of the code location, but does not allow weak references to itself.
    places = _NAMES.setdefault(context.component_tree.state_tracker, {})
    for name in names:
        first = places.setdefault(name, context.component_loc)
        if first != context.component_loc:
            raise DeclarationError(_twice(name, first, context.component_loc, context))


def models_beside(context: dg.ComponentLoadContext, resources: Iterable[str]) -> Sequence[Declaration]:
    """Return the models that the other components and modules of the defs folder build, at any depth.

    Dagster builds a component once. Raise `DeclarationError` if one of them has one of `resources`, if two have a model
    of the same name, or for a second component of this kind.
    """
    own, root = context.component_decl, context.component_tree.find_root_decl()
    for decl in root.iterate_all_component_decls():
        if decl.loc != own.loc and decl.component_type is own.component_type:
            raise DeclarationError(
                f"two {own.component_type.__name__} components: {_place(own.loc, context)} and "
                f"{_place(decl.loc, context)}. A code location has one: remove the other."
            )
    places: dict[str, Any] = {}
    for decl in _beside(root, own):
        built = context.build_defs(decl.loc)
        if twice := [key for key in resources if key in (built.resources or {})]:
            raise DeclarationError(
                f"resource {twice[0]!r} is defined twice: in {_place(decl.loc, context)}, and by the component in "
                f"{_place(own.loc, context)}. Remove it there; or remove the component, and define all of its "
                f"resources there: {', '.join(resources)}."
            )
        for name in _models_in(built):
            if name in places:
                raise DeclarationError(_twice(name, places[name], decl.loc, context))
            places[name] = decl.loc
    return [declared(name) for name in places]


def _beside(decl: ComponentDecl[Any], own: ComponentDecl[Any]) -> Iterator[ComponentDecl[Any]]:
    """Yield what can be built without this component: leaves, and Python files as a whole."""
    children = list(decl.iterate_child_component_decls())
    if isinstance(decl, PythonFileDecl) and all(child.loc != own.loc for child in children):
        yield decl
    elif children:
        for child in children:
            yield from _beside(child, own)
    elif decl.loc != own.loc:
        yield decl


def _models_in(built: dg.Definitions) -> list[str]:
    specs = (spec for asset in built.assets or () if isinstance(asset, dg.AssetsDefinition) for spec in asset.specs)
    return [name for spec in specs if (name := spec.metadata.get(MODEL)) and spec.key == asset_key(name, "dataset")]


def _twice(name: str, first: Any, second: Any, context: dg.ComponentLoadContext) -> str:
    places = f"{_place(first, context)} and {_place(second, context)}"
    return f"two models of this code location are called {shown(name)}: {places}. Rename one."


def _place(loc: Any, context: dg.ComponentLoadContext) -> str:
    return str(loc.get_display_key(context.defs_module_path))
