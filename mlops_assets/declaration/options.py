"""The rules that a declaration sets: how parameters are searched, versions judged, drift tested, models retrained."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, field_validator, model_validator

from mlops_assets.strict_model import Declared, WrongField

_DURATION = re.compile(r"\d+(min|h|D|W)")


def duration_text(text: str) -> str:
    """Return the text if it is a duration such as '12h' or '30D'; else raise `ValueError`."""
    if not _DURATION.fullmatch(text):
        raise ValueError("must be a duration such as '12h', '30D' or '26W'")
    return text


Duration = Annotated[str, AfterValidator(duration_text)]


class Search(Declared):
    """Which parameters of the estimator are tried, and how."""

    space: dict[str, Any] = Field(
        description="Parameter name to a list of values, or to a range {low, high, log, step} (random and optuna)."
    )
    method: Literal["grid", "random", "halving", "optuna"] = Field("random", description="optuna needs the extra.")
    trials: int = Field(20, ge=1, description="How many candidates are tried; a grid is tried whole.")
    folds: int = Field(4, ge=2, description="Expanding folds in time, cut at batches, that score a candidate.")
    workers: int | None = Field(
        None,
        ge=-1,
        repr=False,
        description="Fits that run at once, on the engine of the resource `Compute` or in local processes: -1 for as "
        "many as it can, 0 for one after another. The trials, their scores and the winner do not depend on it. None: "
        "one after another, in the process of the run with all its threads.",
    )

    def __init__(self, space: Mapping[str, Any] | None = None, **values: Any) -> None:
        super().__init__(**({} if space is None else {"space": space}), **values)


class Fleet(Declared):
    """A small model for each value of a column, in one registered model."""

    by: str = Field(description="Column that names the segment of a row, such as a store; it is not a feature.")
    min_rows: int = Field(100, ge=2, description="Training rows with which a segment is tried on its own.")
    newest: float = Field(
        0.25,
        gt=0,
        lt=1,
        description="Share of the training rows, the newest, on which own and pooled are compared.",
    )
    false_share: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="Expected share, at most, of own models that are no better than the pooled one, and of alarms of "
        "segments that are false.",
    )


class Gates(Declared):
    """What a challenger must pass before it may be compared with the champion."""

    min_gain: float = Field(0.0, description="How much better, in the first metric's units, a challenger must be.")
    confidence: float = Field(0.95, gt=0.5, lt=1.0, description="One-sided confidence that the gain is real.")
    beats: list[Literal["dummy", "previous", "linear"]] = Field(["dummy"], description="Baselines to be beaten.")
    minimum: dict[str, float] = Field({}, description="Metric to the least value accepted on the holdout.")
    maximum: dict[str, float] = Field({}, description="Metric to the greatest value accepted on the holdout.")
    max_latency_ms: float = Field(
        100.0,
        gt=0,
        description="Milliseconds of processor time to score a single row, on one thread, the least of seven: how busy "
        "the machine is does not count, nor what a model waits for.",
    )
    max_latency_ms_per_1000: float = Field(1_000.0, gt=0, description="Milliseconds to score 1,000 rows, likewise.")
    max_size_mb: float = Field(500.0, gt=0, description="Size of the registered files in megabytes.")
    no_worse_by: float | None = Field(
        None,
        gt=0,
        description="Promote a fresh challenger that is not worse by this much, in the first metric's units, in place "
        "of one that is better: for models that are retrained for freshness.",
    )
    guards: dict[str, float] = Field(
        {}, description="Metric to how much worse, in its units, a challenger may be and still be promoted."
    )
    guard_slices: bool = Field(True, description="No slice of `slices` may get worse in the first metric.")
    slice_tolerance: float = Field(
        0.0, ge=0, description="How much worse a slice may get, in the first metric's units."
    )

    @field_validator("guards")
    @classmethod
    def _tolerances_are_not_negative(cls, guards: dict[str, float]) -> dict[str, float]:
        if wrong := [name for name, tolerance in guards.items() if not tolerance >= 0]:
            raise ValueError(f"the tolerance of {wrong[0]!r} must be 0 or more")
        return guards

    @model_validator(mode="after")
    def _one_aim(self) -> Self:
        if self.no_worse_by is not None and self.min_gain > 0:
            text = "min_gain asks for a better model, no_worse_by for one that is not worse: declare one of them"
            raise WrongField("no_worse_by", text)
        return self


class Drift(Declared):
    """When a batch counts as drifted from the champion's training rows."""

    alpha: float = Field(0.01, gt=0, lt=1, description="False discovery rate over the features of one batch.")
    min_effect: float = Field(0.02, ge=0, description="Smallest effect that matters, on the scale of each test.")
    season: list[Literal["hour", "weekday", "month"]] = Field(
        [],
        description="Hold a batch against the training rows of the same hour, weekday or month; needs `time`, and two "
        "years of training rows for months.",
    )
    false_alarms: float = Field(1.0, gt=0, description="Most false alarms to be expected in `period`.")
    period: Duration = Field("90D", description="The time over which `false_alarms` is counted.")
    together: bool = Field(True, description="Also ask whether a classifier tells the batch from the training rows.")


class Retraining(Declared):
    """When a new challenger is trained without a request. Every decision is recorded."""

    on_drift: bool = Field(True, description="Features drifted in enough of the champion's newest batches.")
    on_decay: bool = Field(True, description="The champion decayed in enough of its newest batches.")
    confirm: tuple[int, int] = Field((2, 3), description="k of the n newest batches must show drift, or decay.")
    min_new_rows: int | None = Field(
        None, ge=1, description="Labelled rows that neither champion nor last training has seen."
    )
    growth: float | None = Field(
        2.0,
        gt=1,
        description="Train when the rows to train on are this many times the rows that champion and last training were "
        "fitted on; None switches it off.",
    )
    max_age: Duration | None = Field(None, description="Age of the champion since its training, such as '30D'.")
    on_new_version: bool = Field(True, description="The declaration, or the code of a function in it, has changed.")
    cron: str | None = Field(None, description="Cron schedule of trainings, such as '0 3 * * 1'.")
    timezone: str = Field("UTC", description="Time zone of `cron`.")
    first_after: int = Field(2, ge=2, description="Labelled batches that the first training waits for.")
    cool_down: int | str = Field(1, description="Batches, or duration ('12h'), that must come between two trainings.")
    budget: int = Field(10, ge=1, description="Most trainings in `period` that no person asked for.")
    period: Duration = Field("30D", description="The time over which `budget` is counted.")
    attempts: int = Field(3, ge=1, description="How often a failed training is tried on the same data.")

    @field_validator("cool_down")
    @classmethod
    def _cool_down_is_sound(cls, cool_down: int | str) -> int | str:
        if isinstance(cool_down, str):
            return duration_text(cool_down)
        if cool_down < 0:
            raise ValueError("must not be negative")
        return cool_down

    @field_validator("confirm")
    @classmethod
    def _k_of_n(cls, confirm: tuple[int, int]) -> tuple[int, int]:
        if not 1 <= confirm[0] <= confirm[1]:
            raise ValueError("must be (k, n) with 1 <= k <= n")
        return confirm

    @field_validator("cron")
    @classmethod
    def _cron_is_valid(cls, cron: str | None) -> str | None:
        from mlops_assets.dagster_private import is_valid_cron_string

        if cron is not None and not is_valid_cron_string(cron):
            raise ValueError("must be a cron string of five fields, such as '0 3 * * 1' (Mondays at three)")
        return None if cron is None else " ".join(cron.split())

    @field_validator("timezone")
    @classmethod
    def _timezone_exists(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("must be a time zone such as 'UTC' or 'Europe/Berlin'") from None
        return timezone
