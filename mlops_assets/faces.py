"""Public names of a package, each imported at its first use (PEP 562)."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def face(package: str, found_in: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package; `found_in` maps each public name to the module that holds it."""
    for name in found_in.keys() & {module.partition(".")[0] for module in found_in.values()}:
        raise ValueError(f"{package}: {name} is the name of a module, too, and would turn into it; rename one of them")

    def public_name(name: str) -> Any:
        if name not in found_in:
            raise AttributeError(
                f"module {package!r} has no attribute {name!r} (it has: {', '.join(sorted(found_in))})"
            )
        module = found_in[name]
        return getattr(import_module(module if module.startswith("mlops_assets.") else f"{package}.{module}"), name)

    return public_name
