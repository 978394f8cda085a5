"""Runs expectations on a batch with Great Expectations and returns plain outcomes."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from itertools import repeat
from typing import Any

import dagster as dg
from pydantic import Field

from mlops_assets.checks import CheckOutcome
from mlops_assets.disk_frame import LargeFrame
from mlops_assets.errors import ExpectationsError
from mlops_assets.lazy import pd
from mlops_assets.resources import large_expectations
from mlops_assets.text import did_you_mean, shown
from mlops_assets.uncollected import uncollected
from mlops_assets.validation.suites import Expectation

_INDEX = "mlops_assets_index"
_LONGEST_TEXT = 500
_COLUMNS = ("column", "column_A", "column_B")
_TIMES = ("min_value", "max_value", "value_set")


class GreatExpectations(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Great Expectations in memory: no project folder, no files, no account, no usage data."""

    examples: int = Field(
        default=5, ge=0, le=50, description="How many unexpected values, with their row numbers, a failed check shows."
    )

    def validate(  # type: ignore[override]
        self, frame: pd.DataFrame | LargeFrame, expectations: Sequence[Expectation]
    ) -> list[CheckOutcome]:
        """Return one outcome for each expectation, in their order; messages number rows from 1.

        An expectation that cannot be evaluated (a missing column, text compared with a number) fails. On a batch
        without rows, where Great Expectations would pass, every expectation fails. Raise `ExpectationsError` for an
        expectation that GX does not know or whose arguments it refuses.
        """
        if not expectations:
            return []
        if 0 in frame.shape:
            nothing = "rows" if len(frame) == 0 else "columns"
            return [_unevaluated(item, f"not evaluated: the batch has no {nothing}") for item in expectations]
        # Switched off before the import: no release of GX may send usage data from a pipeline.
        os.environ["GX_ANALYTICS_ENABLED"] = "false"
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"great_expectations(\.|$)")
            with uncollected:
                import_module("great_expectations")
            most = max(20, self.examples)
            evaluate = partial(_results, most=most)
            if isinstance(frame, LargeFrame):
                results = large_expectations.results(frame, expectations, evaluate, most)
            else:
                results = large_expectations.freed(evaluate, frame.reset_index(drop=True), expectations)
        return [_outcome(item, result, self.examples) for item, result in zip(expectations, results, strict=True)]


def _results(frame: pd.DataFrame, expectations: Sequence[Expectation], most: int) -> list[Any]:
    """Return GX's result for each expectation, or the exception that it raised."""
    return _run(frame, [_domain_object(frame, index, item) for index, item in enumerate(expectations)], most)


def _domain_object(frame: pd.DataFrame, index: int, expectation: Expectation) -> Any:
    """Return GX's object for an expectation, marked with its position: GX returns results in another order."""
    import great_expectations  # noqa: F401 (registers the expectations)
    from great_expectations.exceptions.exceptions import ExpectationNotFoundError
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    kwargs = _with_times(frame, expectation.kwargs)
    try:
        return ExpectationConfiguration(type=expectation.type, kwargs=kwargs, meta={_INDEX: index}).to_domain_obj()
    except ExpectationNotFoundError as error:
        near = did_you_mean(expectation.type, list_registered_expectation_implementations())
        raise ExpectationsError(
            f"{expectation.check_name}: Great Expectations has no expectation '{expectation.type}'. {near}"
        ) from error
    except (ValueError, TypeError) as error:
        raise ExpectationsError(
            f"{expectation.check_name}: Great Expectations refuses the arguments of {_text(expectation)}: "
            f"{_short(error)}"
        ) from error


def _with_times(frame: pd.DataFrame, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return `kwargs` with texts as times if the column holds times: GX compares only values of one type."""
    dtype: Any = frame.dtypes.get(kwargs.get("column"))
    if not pd.api.types.is_datetime64_any_dtype(dtype):
        return dict(kwargs)
    zone = getattr(dtype, "tz", None)
    return {key: _as_time(value, zone) if key in _TIMES else value for key, value in kwargs.items()}


def _as_time(value: Any, zone: Any) -> Any:
    if isinstance(value, list):
        return [_as_time(part, zone) for part in value]
    if not isinstance(value, str):
        return value
    try:
        time = pd.Timestamp(value)
    except ValueError:
        return value
    if zone is None:
        return time.tz_convert("UTC").tz_localize(None) if time.tzinfo else time
    return time.tz_convert(zone) if time.tzinfo else time.tz_localize(zone)


def _run(frame: pd.DataFrame, domain_objects: list[Any], most: int) -> list[Any]:
    """Return GX's result for each object, or the exception that it raised."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    asset = context.data_sources.add_pandas("batch").add_dataframe_asset("batch")
    batch = asset.add_batch_definition_whole_dataframe("batch").get_batch({"dataframe": frame})
    result_format = {"result_format": "SUMMARY", "partial_unexpected_count": most}
    suite = gx.ExpectationSuite("batch")
    # `add_expectation` would drop equal expectations, each of which has a check.
    suite.expectations = domain_objects
    try:
        # `ValidationDefinition.run` stores the results, which fails if they hold numpy booleans.
        results = batch.validate(suite, result_format=result_format).results
    except Exception:  # an expectation whose error GX does not catch ends all others: run each alone
        return [_alone(batch, item, result_format) for item in domain_objects]
    finally:
        # GX keeps the last context of a process, and with it several times the size of the rows.
        context.data_sources.delete("batch")
    by_index = {result.expectation_config.meta[_INDEX]: result for result in results if result.expectation_config}
    return [by_index.get(index) for index in range(len(domain_objects))]


def _alone(batch: Any, domain_object: Any, result_format: dict[str, Any]) -> Any:
    try:
        return batch.validate(domain_object, result_format=result_format)
    except Exception as error:  # it becomes the outcome of this expectation
        return error


def _outcome(expectation: Expectation, result: Any, most: int) -> CheckOutcome:
    if result is None or isinstance(result, Exception):
        return _unevaluated(expectation, f"could not be evaluated: {_short(result or 'no result')}")
    if reason := _raised(result.exception_info):
        return _unevaluated(expectation, f"could not be evaluated: {reason}")
    figures = result.result
    metadata: dict[str, Any] = {}
    if figures.get("observed_value") is not None:
        metadata["observed_value"] = _plain_value(figures["observed_value"])
    if figures.get("unexpected_count") is not None:
        metadata["unexpected_count"] = int(figures["unexpected_count"])
    if figures.get("unexpected_percent") is not None:
        metadata["unexpected_share"] = float(figures["unexpected_percent"]) / 100
    if examples := _examples(figures, most):
        metadata["examples"] = examples
    # `is True` would refuse the numpy booleans that some expectations return.
    passed = bool(result.success)
    message = _message(expectation, passed, figures, metadata)
    if sampled := getattr(result, "sampled", ""):
        message += f"; {sampled}"
    return _check_outcome(expectation, passed, message, metadata)


def _message(expectation: Expectation, passed: bool, figures: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    parts, examples = [_text(expectation)], metadata.get("examples")
    total, unexpected = figures.get("element_count"), metadata.get("unexpected_count")
    if total is not None and total == figures.get("missing_count"):
        parts.append(f"nothing to judge, all {total} values are missing")
    elif total is not None and unexpected is not None:
        judged = total - (figures.get("missing_count") or 0)
        share = metadata.get("unexpected_share")
        parts.append(f"{unexpected} of {judged} values unexpected" + (f" ({share:.2%})" if share else ""))
    elif unexpected:
        parts.append(f"{unexpected} values unexpected")
    elif "observed_value" in metadata:
        observed = metadata["observed_value"]
        parts.append(f"observed {observed:.6g}" if isinstance(observed, float) else f"observed {shown(observed)}")
    if not passed and examples:
        parts.append(", ".join(examples))
    elif not passed and figures.get("details"):
        parts.append(shown(_plain_value(figures["details"]), 200))
    return ("" if passed else "does not hold: ") + "; ".join(parts)


def _unevaluated(expectation: Expectation, why: str) -> CheckOutcome:
    return _check_outcome(expectation, False, f"{why}; {_text(expectation)}", {})


def _check_outcome(expectation: Expectation, passed: bool, message: str, figures: dict[str, Any]) -> CheckOutcome:
    notes = expectation.meta.get("notes")
    about = {"expectation": expectation.type, "expected": _arguments(expectation)}
    return CheckOutcome(
        expectation.check_name,
        passed,
        message,
        severity=expectation.severity,
        blocking=expectation.blocking,
        metadata={**about, **({"notes": _plain_value(notes)} if notes else {}), **figures},
    )


def _text(expectation: Expectation) -> str:
    """Return a text such as "co2: values to be between (min_value 300, max_value 400)"."""
    columns = [expectation.kwargs[name] for name in _COLUMNS if isinstance(expectation.kwargs.get(name), str)]
    rule = expectation.type.removeprefix("expect_").removeprefix("column_" if columns else "")
    subject = ", ".join(shown(column).strip("'") for column in columns)
    arguments = _arguments(expectation)
    return (f"{subject}: " if subject else "") + rule.replace("_", " ") + (f" ({arguments})" if arguments else "")


def _arguments(expectation: Expectation) -> str:
    return _cut(
        ", ".join(f"{name} {_argument(value)}" for name, value in expectation.kwargs.items() if name not in _COLUMNS)
    )


def _argument(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else _cut(json.dumps(value, ensure_ascii=False, default=str), 200)


def _examples(figures: Mapping[str, Any], most: int) -> list[str]:
    """Return distinct unexpected values, each with the first row that holds it."""
    values = list(figures.get("partial_unexpected_list") or ())
    rows = list(figures.get("partial_unexpected_index_list") or ())
    examples: dict[str, str] = {}
    for value, row in zip(values, rows if len(rows) == len(values) else repeat(None, len(values)), strict=True):
        where = f" (row {row + 1})" if isinstance(row, int) else ""
        examples.setdefault(shown(tuple(value.values()) if isinstance(value, Mapping) else value), where)
    return [value + where for value, where in list(examples.items())[:most]]


def _raised(exception_info: Any) -> str:
    """Return the message of the exception that an expectation raised, "" without one; GX may nest it by metric."""
    entries = [exception_info] if "raised_exception" in exception_info else dict(exception_info).values()
    return next((_short(entry.get("exception_message")) for entry in entries if entry.get("raised_exception")), "")


def _short(reason: Any) -> str:
    return _cut(" ".join(str(reason).split()).removeprefix("Error: "), 200)


def _cut(text: str, limit: int = _LONGEST_TEXT) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _plain_value(value: Any) -> Any:
    """Return a number or boolean unchanged, anything else as bounded text."""
    if type(value).__module__ == "numpy" and hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return _cut(value)
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return _cut(json.dumps(value, ensure_ascii=False, default=_json_value))


def _json_value(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return sorted(value, key=repr) if isinstance(value, set | frozenset) else str(value)
