"""Files under one root, a folder or an object store, each named by its content and written once."""

from typing import TYPE_CHECKING

from mlops_assets.faces import face

if TYPE_CHECKING:
    from mlops_assets.resources.storage.resource import Storage as Storage

_MODULES = {"Storage": "resource"}
__all__ = sorted(_MODULES)
__getattr__ = face("mlops_assets.resources.storage", _MODULES)
