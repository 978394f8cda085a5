"""Public names of a package, each imported at its first use (PEP 562)."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from mlops_assets.uncollected import uncollected


def face(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package; `modules` maps each public name to the module that holds it."""
    for name in modules.keys() & {module.partition(".")[0] for module in modules.values()}:
        raise ValueError(f"{package}: {name} is the name of a module, too, and would turn into it; rename one of them")

    def public_name(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r} (it has: {', '.join(sorted(modules))})")
        module = modules[name]
        with uncollected:
            return getattr(import_module(module if module.startswith("mlops_assets.") else f"{package}.{module}"), name)

    return public_name
