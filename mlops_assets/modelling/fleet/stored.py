"""How thousands of fitted models are stored in one: a number or an array of each becomes a row of one array of all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mlops_assets.lazy import np, sklearn
from mlops_assets.modelling.fleet.digest import digest_of_estimator

_AS_TEXT = ("segments_", "route_", "failed_")
_NUMERIC = "biuf"
_STORING = ("__getstate__", "__setstate__", "__reduce__", "__reduce_ex__")
_ORDERS = {"arrays": "C", "transposed": "F"}


def stored(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of a fleet as it is stored: names of segments as one text, models as `packed`.

    Stored one by one, a small model takes 7 kB and milliseconds, which its few numbers do not.
    """
    if "models_" not in state:
        return dict(state)
    models, against = state["models_"], state["against_"]
    return {
        **state,
        **{name: json.dumps(state[name]) for name in _AS_TEXT},
        "models_": {"names": json.dumps(list(models)), **packed(list(models.values()))},
        "against_": {**against, "segments": json.dumps(against["segments"])} if against else {},
    }


def restored(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of a fleet from the stored one."""
    if "models_" not in state:
        return dict(state)
    models, against = dict(state["models_"]), state["against_"]
    names = json.loads(models.pop("names"))
    return {
        **state,
        **{name: json.loads(state[name]) for name in _AS_TEXT},
        "models_": dict(zip(names, unpacked(models), strict=True)),
        "against_": {**against, "segments": json.loads(against["segments"])} if against else {},
    }


def packed(models: Sequence[Any]) -> dict[str, Any]:
    """Return models of one class by attribute, if they are nothing but their attributes; else as they are."""
    if not models or not all(_is_plain(model, models[0]) for model in models):
        return {"models": list(models)}
    columns = {name: _column([vars(model)[name] for model in models]) for name in vars(models[0])}
    return {"like": sklearn.base.clone(models[0]), "count": len(models), "columns": columns}


def unpacked(content: Mapping[str, Any]) -> list[Any]:
    """Return the models that `packed` took, with the same numbers, types and order in memory."""
    if "models" in content:
        return list(content["models"])
    kind: Any = type(content["like"])
    count = content["count"]
    columns = {name: _values(column, count) for name, column in content["columns"].items()}
    models = [kind.__new__(kind) for _ in range(count)]
    for number, model in enumerate(models):
        vars(model).update({name: values[number] for name, values in columns.items()})
    return models


def _is_plain(model: Any, first: Any) -> bool:
    """Whether a model is of the class of the first, has the same attributes, and is stored by them alone."""
    kind, base = type(first), sklearn.base.BaseEstimator
    return (
        type(model) is kind
        and isinstance(model, base)
        and all(getattr(kind, name) is getattr(base, name) for name in _STORING)
        and vars(model).keys() == vars(first).keys()
    )


def _column(values: list[Any]) -> dict[str, Any]:
    """Return the values of one attribute as one array, as one value if they are the same, or as a list."""
    first, kinds = values[0], set(map(type, values))
    if kinds == {float} or (len(kinds) == 1 and isinstance(first, np.generic) and first.dtype.kind in _NUMERIC):
        return {"floats" if kinds == {float} else "scalars": np.array(values)}
    if kinds == {np.ndarray}:
        for how, order in _ORDERS.items() if first.dtype.kind in _NUMERIC else ():
            if all(_is_alike(value, first, order) for value in values):
                return {how: np.stack([value if order == "C" else value.T for value in values])}
        same = len({digest_of_estimator(value) for value in values}) == 1
    else:
        same = kinds <= {int, str, bool, type(None)} and len(kinds) == 1 and len(set(values)) == 1
    if kinds == {int} and not same and all(abs(value) < 2**63 for value in values):
        return {"integers": np.array(values, dtype=np.int64)}
    return {"same": first} if same else {"each": values}


def _is_alike(value: Any, first: Any, order: str) -> bool:
    """Whether a row of one array can be the value: the sums of linear algebra depend on the order in memory."""
    return value.dtype == first.dtype and value.shape == first.shape and bool(value.flags[f"{order}_CONTIGUOUS"])


def _values(column: Mapping[str, Any], count: int) -> Sequence[Any]:
    ((how, content),) = column.items()
    if how in _ORDERS:
        rows = [np.array(row) for row in content]
        return rows if _ORDERS[how] == "C" else [row.T for row in rows]
    if how in ("floats", "integers"):
        plain: list[Any] = content.tolist()
        return plain
    return [content] * count if how == "same" else list(content)
