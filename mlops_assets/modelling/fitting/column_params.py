"""Parameters of estimators that refer to columns: by name only, since preprocessing moves columns and adds some."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mlops_assets.errors import DeclarationError
from mlops_assets.text import did_you_mean, shown

_SIGNS = ("monotonic_cst", "monotone_constraints")
_GROUPS = ("interaction_cst", "interaction_constraints")
_LISTS = ("categorical_features",)
_SIGNS_BY_NAME = ("HistGradientBoosting", "XGB")
_BY_NAME = {
    **dict.fromkeys(_SIGNS, "{{{first}: 1}}, 1 for rising and -1 for falling"),
    **dict.fromkeys(_GROUPS, "[[{first}, {second}]], groups of columns that may act together"),
    **dict.fromkeys(_LISTS, "[{first}]"),
}


def refers_to_columns(parameter: str) -> bool:
    """Return whether a parameter, also of an inner estimator ("est__monotonic_cst"), names or numbers columns."""
    return parameter.rpartition("__")[2] in _BY_NAME


def named_columns(
    estimator: Any, params: Mapping[str, Any], columns: Sequence[str], numeric: Collection[str]
) -> list[str]:
    """Return the columns that such parameters of an estimator name, in the order of `columns`.

    `numeric`: those that can rise or fall. Raises `DeclarationError`, with the form by name, for positions and unknown
    names. It also refuses groups or signs of an inner estimator, which may itself leave columns out.
    """
    named: set[str] = set()
    for parameter, value in params.items():
        if refers_to_columns(parameter) and value is not None and not isinstance(value, str):
            named |= _names(estimator, parameter, params, columns, numeric)
    return [name for name in columns if name in named]


def in_places(estimator: Any, order: Sequence[str]) -> dict[str, Any]:
    """Return the parameters that an estimator takes by position only, for columns in the order in which they reach it.

    Signs are given by name if the estimator takes names: it may then get other columns after those named.
    """
    places: dict[str, Any] = {}
    kind = type(estimator).__name__
    for parameter, value in estimator.get_params(deep=False).items():
        if isinstance(value, str) or value is None:
            continue
        if parameter in _SIGNS and not kind.startswith(_SIGNS_BY_NAME):
            signs = [value.get(name, 0) for name in order]
            # scikit-learn cannot copy a CatBoost that holds a list; a text means the same to it.
            places[parameter] = f"({','.join(map(str, signs))})" if kind.startswith("CatBoost") else signs
        elif parameter in _GROUPS:
            places[parameter] = [[order.index(name) for name in order if name in group] for group in value]
    return places


def _names(
    estimator: Any, parameter: str, params: Mapping[str, Any], columns: Sequence[str], numeric: Collection[str]
) -> set[str]:
    own = parameter.rpartition("__")[2]
    value = params[parameter]
    names = _by_name(own, value)
    what = f"parameter {parameter!r} of {type(estimator).__name__}"
    if names is None:
        first, second = (*columns, *columns)[:2]
        form = _BY_NAME[own].format(first=first, second=second)
        raise DeclarationError(
            f"{what} refers to columns by position, but preprocessing moves columns; got {shown(value)}. "
            f"Name them: {own}: {form}."
        )
    inner = params.get(parameter.rpartition("__")[0])
    if inner is not None and (own in _GROUPS or not type(inner).__name__.startswith("HistGradientBoosting")):
        raise DeclarationError(
            f"{what} cannot be given within another estimator, which may leave columns out or move them. Leave it out."
        )
    for name in names:
        if name not in columns:
            raise DeclarationError(f"{what} names {shown(name)}, which is not a feature. {did_you_mean(name, columns)}")
        if own in _SIGNS and name not in numeric:
            raise DeclarationError(f"{what} names {shown(name)}, which is text: only numbers rise or fall.")
    return names


def _by_name(parameter: str, value: Any) -> set[str] | None:
    """Return the names in a value; None if it holds numbers, or has another form."""
    if isinstance(value, Mapping) != (parameter in _SIGNS) or not hasattr(value, "__iter__"):
        return None
    names = list(value)
    if parameter in _GROUPS:
        if not all(isinstance(group, list | tuple | set | frozenset) for group in names):
            return None
        names = [name for group in names for name in group]
    return set(names) if all(isinstance(name, str) for name in names) else None
