"""Turn evidence in plain values into what Dagster shows: tables, plots, numbers, checks."""

from __future__ import annotations

import base64
import html
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import dagster as dg

from mlops_assets.checks import CheckOutcome
from mlops_assets.dagster_private import CheckResult
from mlops_assets.disk_frame import LargeFrame
from mlops_assets.lazy import pd
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.text import inert

_CELL = 80
_PREVIEW_ROWS = 5
_DIGITS = 6
_TABLE_DIGITS = 4  # a table is about 400 pixels wide on a laptop, and wider tables scroll
_LISTED = 10
_SIGNS = re.compile(r"([\\`*\[\]|~]|(?<![^\W_])_|_(?![^\W_]))")


def metadata(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return Dagster metadata from plain values; None is left out, and a number that is not finite becomes text."""
    return {_name(name.replace("/", " ")): _value(value) for name, value in values.items() if value is not None}


def table(rows: Iterable[Mapping[Any, Any]], digits: int = _TABLE_DIGITS) -> dg.TableMetadataValue:
    """Return a table from flat dicts, each with the columns of the first. Numbers have `digits` significant digits."""
    records = [{_name(name): _cell(value, digits=digits) for name, value in row.items()} for row in rows]
    if not records:
        records = [{"": "nothing"}]
    columns = [dg.TableColumn(name, type=_cell_type([record.get(name) for record in records])) for name in records[0]]
    return dg.MetadataValue.table([dg.TableRecord(record) for record in records], dg.TableSchema(columns))


def image(png: bytes, title: str) -> dg.MarkdownMetadataValue:
    """Return a PNG that the UI shows behind a link."""
    return dg.MetadataValue.md(f"![{markdown_text(title)}](data:image/png;base64,{base64.b64encode(png).decode()})")


def link(text: str, url: str) -> dg.MarkdownMetadataValue:
    """Return a link by its name: a bare address is wider than the page and pushes its neighbours out of sight."""
    return dg.MetadataValue.md(f"[{markdown_text(text)}]({url})")


def version_link(version: ModelVersion, registry: MlflowRegistry) -> dg.MarkdownMetadataValue:
    """Return a link to the page of a version in MLflow."""
    return link(f"{version.model} version {version.version}", registry.version_url(version.model, version.version))


def markdown_text(text: object) -> str:
    """Return text of others as literal Markdown: no link, image, HTML or emphasis; no table cell ended early."""
    line = " ".join(inert(str(text)).split())
    return _SIGNS.sub(r"\\\1", html.escape(line, quote=False))


def preview(frame: pd.DataFrame) -> dg.TableMetadataValue:
    """Return the first rows of a frame as a table."""
    return table(frame.head(_PREVIEW_ROWS).to_dict("records"), _DIGITS)


def column_schema(frame: pd.DataFrame | LargeFrame, descriptions: Mapping[str, str] = {}) -> dg.TableSchema:
    """Return columns and dtypes of a frame, with descriptions if known, for the asset's list of columns."""
    return dg.TableSchema(
        [dg.TableColumn(_name(name), str(dtype), descriptions.get(str(name))) for name, dtype in frame.dtypes.items()]
    )


def same_columns(frame: pd.DataFrame | LargeFrame, upstream: Mapping[str, dg.AssetKey]) -> dg.TableColumnLineage:
    """Return the lineage of columns that are passed on unchanged: {column: the asset that it comes from}."""
    return dg.TableColumnLineage(
        {_name(name): [dg.TableColumnDep(upstream[name], _name(name))] for name in frame.columns if name in upstream}
    )


def check_result(outcome: CheckOutcome, key: dg.AssetKey) -> dg.AssetCheckResult:
    """Return an outcome as Dagster's check result, its message first."""
    return next(check_results([outcome], key))


def check_results(outcomes: Iterable[CheckOutcome], key: dg.AssetKey) -> Iterator[dg.AssetCheckResult]:
    """Yield outcomes as check results, between which the asset is not materialised."""
    judged: dict[Any, Any] = {}
    for outcome in outcomes:
        result = CheckResult(
            asset_key=key,
            check_name=outcome.name,
            passed=outcome.passed,
            severity=dg.AssetCheckSeverity.ERROR if outcome.severity == "error" else dg.AssetCheckSeverity.WARN,
            description=inert(outcome.message),
            metadata=metadata({"result": outcome.message, **outcome.metadata}),
        )
        result.judged = judged
        yield result


def observation(
    asset: dg.AssetKey, values: Mapping[str, Any], description: str = "", partition: str | None = None
) -> dg.AssetObservation:
    """Return an observation of an asset, which stays with the asset's events."""
    text = inert(description) or None
    return dg.AssetObservation(asset, partition=partition, description=text, metadata=metadata(values))


def _name(name: object) -> str:
    """Return a name from data as a key for Dagster, in quotes if Dagster could take it for one of its own.

    Dagster reads a dict with the key `__class__`, `__enum__`, `__set__`, `__frozenset__` or `__mapping_items__` back as
    an object that the values describe: a column of that name would choose the object.
    """
    text = str(name)
    return repr(text) if text.startswith("__") else text


def _value(value: Any) -> Any:
    if isinstance(value, dg.MetadataValue | dg.TableSchema | dg.TableColumnLineage):
        return value
    if isinstance(value, bytes):
        return image(value, "plot")
    if isinstance(value, list | tuple) and value and all(isinstance(row, Mapping) for row in value):
        return table(value)
    if isinstance(value, list | tuple) and not any(isinstance(item, Mapping | list | tuple) for item in value):
        more = f" and {len(value) - _LISTED:,} more" if len(value) > _LISTED else ""
        return ", ".join(str(_cell(item)) for item in value[:_LISTED]) + more or "none"
    if isinstance(value, Mapping | list | tuple):
        return dg.MetadataValue.json(_jsonable(value))
    return _cell(value, limit=None)


def _cell(value: Any, limit: int | None = _CELL, digits: int = _DIGITS) -> str | int | float | bool | None:
    """Return a scalar that JSON and the UI can show; text from data is shortened."""
    value = value.item() if hasattr(value, "item") else value
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return _rounded(value, digits) if math.isfinite(value) else str(value)
    text = str(value).removesuffix(" 00:00:00") if isinstance(value, datetime) else str(value)
    return text if limit is None or len(text) <= limit else text[: limit - 1] + "…"


def _rounded(value: float, digits: int) -> float:
    """Round to significant digits, but never to more than a whole number."""
    return float(f"{value:.0f}") if abs(value) >= 10**digits else float(f"{value:.{digits}g}")


def _cell_type(values: list[Any]) -> str:
    kinds = {type(value) for value in values if value is not None}
    if kinds and kinds <= {int, float}:
        return "float" if float in kinds else "int"
    return "bool" if kinds == {bool} else "string"


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_name(name): _jsonable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    return _cell(value)
