"""The versions of a declaration: digests that change if it would give another model, or other features."""

import hashlib
import inspect
import json
from collections.abc import Callable
from typing import Any

from mlops_assets.errors import DeclarationError
from mlops_assets.modelling.metrics.own import OwnMetric, is_own, own_metric
from mlops_assets.modelling.recipe import text_of
from mlops_assets.strict_model import Declared

_FIT_FIELDS = (
    *("target", "estimator", "params", "problem", "time", "key", "drop", "features", "lookback", "search", "window"),
    *("holdout", "metrics", "seed", "serialization", "known_at", "label_share"),
)
_FEATURES_FIELDS = ("features", "lookback", "drop", "target", "key", "time", "known_at")
_ONLY_WHERE_USED = ("group", "where")
"""An unused field changes no version: else models would be trained again for no reason."""


def digest_of_training(model: Any) -> str:
    """Return the digest of all that a `Declaration` says of how its model is fitted."""
    decided = [field for field in ("threshold", "calibrate", "fleet") if getattr(model, field) is not None]
    fields = {field: _plain(getattr(model, field)) for field in (*_FIT_FIELDS, *_used(model), *decided)}
    own = [_plain_metric(own_metric(name)) for name in model.metrics if is_own(name)]
    return _digest({**fields, "own_metrics": own} if own else fields)


def digest_of_features(model: Any) -> str:
    """Return the digest of all that a `Declaration` says of how features are computed from rows."""
    by = [model.fleet.by] if model.fleet else []
    return _digest([*(_plain(getattr(model, field)) for field in (*_FEATURES_FIELDS, *_used(model))), *by])


def _used(model: Any) -> tuple[str, ...]:
    return tuple(field for field in _ONLY_WHERE_USED if getattr(model, field))


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    """Return a value as JSON; a function as its name and source, so that editing its body changes the digest."""
    if isinstance(value, Declared):
        fields = type(value).model_fields.items()  # without `repr`: what no result depends on
        return {name: _plain(getattr(value, name)) for name, field in fields if field.repr}
    if callable(value):
        return [getattr(value, "__qualname__", repr(value)), _source(value)]
    return value


def _plain_metric(own: OwnMetric) -> Any:
    """Return a user's metric as JSON, with its source; a library's function counts by its name only."""
    package = own.name.replace(":", ".").partition(".")[0]
    theirs = own.function.__module__.partition(".")[0] != package
    options = sorted((name, text_of(value)) for name, value in own.options.items())
    code = own.function.__qualname__ if theirs else _plain(own.function)
    return [own.name, code, options, own.greater_is_better, own.by_probability]


def _source(function: Callable[..., Any], seen: frozenset[str] = frozenset()) -> list[str]:
    """Return the source of a function and of the functions of its own module that it calls."""
    try:
        sources = [inspect.getsource(function)]
    except (OSError, TypeError) as error:
        raise DeclarationError(f"{function!r} has no source to take a version from; use a plain function") from error
    code = getattr(function, "__code__", None)
    for name in sorted(set(code.co_names) - seen) if code else ():
        called = getattr(function, "__globals__", {}).get(name)
        if inspect.isfunction(called) and called.__module__ == function.__module__:
            sources += _source(called, seen | {name, function.__name__})
    return sources
