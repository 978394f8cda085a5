"""What an engineer declares of a model: data, features, estimator, gates. Importing it imports nothing heavy."""

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from mlops_assets.callables import refuse_standard_library
from mlops_assets.declaration.options import Drift, Duration, Fleet, Gates, Retraining, Search, duration_text
from mlops_assets.declaration.versions import digest_of_features, digest_of_training
from mlops_assets.dotted import called, refuse_unknown_package
from mlops_assets.errors import DeclarationError
from mlops_assets.modelling.metrics.own import is_own, own_metric
from mlops_assets.sources import Source
from mlops_assets.sources.yaml_form import source_of
from mlops_assets.strict_model import Declared, WrongField

_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
_OWNER = re.compile(r"team:[\w-]+|[^@\s]+@[^@\s]+\.[^@\s]+")
_Value = str | int | float | bool


class Declaration(Declared):
    """One model, declared once. Only name, source, target and estimator are required."""

    name: str = Field(description="Lower-case identifier; every asset key of the model starts with it.")
    source: Source = Field(description="Where batches come from; a text is the glob of a folder.")
    target: str = Field(description="The column to be predicted.")
    estimator: str | Callable[..., Any] = Field(
        description="Dotted name of a scikit-learn estimator, or a function that builds one (or a whole Pipeline), "
        "also as 'package.module:function'."
    )
    params: dict[str, Any] = Field({}, description="Parameters of the estimator.")
    problem: Literal["regression", "classification"] | None = Field(None, description="Inferred from the target.")
    threshold: float | str | None = Field(
        None,
        description="Probability from which the greater of two classes is predicted, or 'tuned': what does best on "
        "folds in time, by the first of `metrics` that is balanced_accuracy, accuracy or f1, else balanced_accuracy.",
    )
    calibrate: Literal["sigmoid", "isotonic"] | None = Field(
        None, description="Calibrate the probabilities of a classifier on folds in time; isotonic needs 1,000s of rows."
    )
    fleet: Fleet | None = Field(
        None, description="A model of its own for each segment that gains from it; the others share a pooled model."
    )
    time: str | None = Field(None, description="Column that orders rows; without it batches are ordered by key.")
    key: list[str] = Field([], description="Columns that identify a row; a row may not be in train and holdout.")
    group: str | None = Field(
        None, description="Column whose rows belong together, such as a customer: compared by groups, never a feature."
    )
    where: dict[str, _Value | list[_Value]] = Field(
        {}, description="Column to a value, or to a list of values: the model has only the rows with these values."
    )
    drop: list[str] = Field([], description="Columns that are never features, such as parts of the target.")
    optional: list[str] = Field(
        [], description="Columns that a batch may lack, or have without any value: they hold missing values then."
    )
    expectations: Any = Field(
        None,
        description="Path of a suite file (JSON or YAML), GX objects, or a function that returns them, also as "
        "'package.module:function'. "
        "For a path that does not exist yet the suite is inferred from the first batches; `mlops-assets suite export` "
        "writes it there, for a person to edit.",
    )
    extra_columns: Literal["accept", "reject"] = Field("accept", description="Columns that the first batch lacked.")
    features: Callable[..., Any] | None = Field(
        None,
        description="(batch, history) -> DataFrame with a row for each row of the batch, same index; a function, or "
        "its name as 'package.module:function', imported when it is declared.",
    )
    chunked: bool = Field(
        False,
        description="Whether `features` may get some rows of a batch that does not fit into memory at a time: the "
        "features of a row depend on no other row than those within `lookback` before it.",
    )
    lookback: Duration | None = Field(None, description="How much earlier data `features` gets as history, e.g. '7D'.")
    search: Search | None = Field(None, description="A search of `params`, which are used as they are without it.")
    window: int | str | None = Field(None, description="Newest batches, or duration ('180D'), to train on; else all.")
    holdout: int | float | str | None = Field(
        None,
        description="Newest labelled batches kept for judging: a count, a share of the rows, or a duration. By "
        "default at most a fifth of the rows within `window`, and half of the batches that are new to the champion.",
    )
    metrics: list[str] = Field(
        [],
        description="The first metric decides; the others are reported. A metric is one of the pack, a scorer of "
        "scikit-learn, or a function or scorer of yours as 'package.module:name'.",
    )
    slices: list[str] = Field([], description="Columns by whose values metrics are also reported.")
    gates: Gates = Field(default_factory=lambda: Gates(), description="What a challenger must pass.")
    drift: Drift = Field(default_factory=lambda: Drift(), description="When a batch counts as drifted.")
    retraining: Retraining = Field(default_factory=lambda: Retraining(), description="When trainings start.")
    ablation: bool = Field(
        False, description="Refit without each feature, and with each alone, when a challenger is evaluated."
    )
    refit: bool = Field(
        False,
        description="Fit what is promoted once more, on training and holdout rows, and make that version champion; the "
        "next holdout must be later than both.",
    )
    approval: Literal["required"] | None = Field(
        None, description="required: a challenger that may be promoted waits until a person approves it."
    )
    outcomes: Source | None = Field(
        None, description="Where labels come from that are known later than the rows: `key` columns and the target."
    )
    known_at: str | None = Field(
        None,
        description="Column (of `outcomes` where declared, else of `source`) that says when a label became known.",
    )
    label_share: float = Field(
        0.8, gt=0, le=1, description="With `outcomes`: share of a batch that must be labelled before it is judged on."
    )
    pages: Literal["on_alarm", "always", "never"] = Field(
        "on_alarm", description="When Evidently draws a page for a batch (about 10 s, 5 MB); any batch on request."
    )
    workers: int | None = Field(
        None,
        ge=-1,
        description="Independent tasks that run at once, on the engine of the resource `Compute` or in local "
        "processes: parts of a batch that does not fit into memory are scored, features left out, a back-test "
        "replayed. -1 for as many as it can, 0 for one after another. No result depends on it. `workers` of `search` "
        "come before it; None: the process of the run, with all its threads.",
    )
    seed: int = Field(0, description="Seed of every random choice.")
    serialization: Literal["skops", "cloudpickle"] = Field(
        "skops", description="cloudpickle executes code on load: only for models that skops cannot hold."
    )
    trusted_types: list[str] = Field([], description="Types of your own that skops may load, as dotted names.")
    owners: list[str] = Field([], description="E-mail addresses or 'team:name'.")
    description: str = Field("", description="What the model is for; shown in the UI and on the model card.")

    @model_validator(mode="before")
    @classmethod
    def _source_knows_time(cls, values: Any) -> Any:
        if isinstance(values, dict) and "source" in values:
            with suppress(ValueError):  # the validator of the field itself reports the error
                return {**values, "source": source_of(values["source"]).with_time(values.get("time"))}
        return values

    @field_validator("source", "outcomes", mode="before")
    @classmethod
    def _source_is_one(cls, source: Any, info: ValidationInfo) -> Any:
        return None if source is None and info.field_name == "outcomes" else source_of(source)

    @field_validator("features", "expectations", "estimator", mode="before")
    @classmethod
    def _functions_have_names(cls, value: Any, info: ValidationInfo) -> Any:
        """Resolve a name with a colon to the user's function: imported now, as its source is part of the version."""
        if not isinstance(value, str):
            return value
        try:
            if _FUNCTION.fullmatch(value):
                return called(value, str(info.field_name))
            if info.field_name == "estimator":
                refuse_unknown_package(value)
                refuse_standard_library(value, "estimator")
        except DeclarationError as error:
            raise WrongField(str(info.field_name), f"{info.field_name}: {error}") from None
        if info.field_name == "features":
            raise ValueError("expected a function, or its name such as 'package.module:function'")
        return value

    @field_validator("owners")
    @classmethod
    def _owners_are_people_or_teams(cls, owners: list[str]) -> list[str]:
        if not all(map(_OWNER.fullmatch, owners)):
            raise ValueError("each must be an e-mail address, or a team such as 'team:mobility'")
        return owners

    @field_validator("metrics", "gates")
    @classmethod
    def _own_metrics_are_there(cls, value: Any, info: ValidationInfo) -> Any:
        """Import the user's own metrics now, as functions are."""
        names = [*value.minimum, *value.maximum, *value.guards] if isinstance(value, Gates) else value
        for name in filter(is_own, names):
            try:
                own_metric(name)
            except DeclarationError as error:
                raise WrongField(str(info.field_name), f"{info.field_name}: {error}") from None
        return value

    @field_validator("where")
    @classmethod
    def _where_has_values(cls, where: dict[str, Any]) -> dict[str, Any]:
        if empty := [column for column, values in where.items() if values == []]:
            raise ValueError(f"{empty[0]!r} has no values; give one, or a list of them")
        return where

    @field_validator("name")
    @classmethod
    def _name_is_safe(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError("must be lower-case letters, digits and _, start with a letter, and have at most 60")
        return name

    @field_validator("window", "holdout")
    @classmethod
    def _extent_is_sound(cls, extent: int | float | str | None) -> int | float | str | None:
        if isinstance(extent, str):
            return duration_text(extent)
        if extent is not None and extent <= 0:
            raise ValueError("must be positive")
        if isinstance(extent, float) and extent >= 1:
            raise ValueError("as a share must be below 1; for a number of batches write an integer")
        return extent

    @field_validator("threshold")
    @classmethod
    def _threshold_is_a_probability(cls, threshold: float | str | None) -> float | str | None:
        if threshold in (None, "tuned") or (isinstance(threshold, float) and 0 < threshold < 1):
            return threshold
        raise ValueError("must be a probability between 0 and 1, or 'tuned'")

    @model_validator(mode="after")
    def _fields_fit_together(self) -> Self:
        if self.lookback and not (self.features and self.time):
            raise WrongField(
                "lookback", "lookback needs `features` (which gets the history) and `time` (which bounds it)"
            )
        if self.target in [*self.key, *self.drop, self.time]:
            raise WrongField("target", f"target {self.target!r} is also declared as key, time or drop")
        if self.outcomes and not self.key:
            raise WrongField("outcomes", "outcomes needs `key`, the columns by which labels are joined to rows")
        for field in ("threshold", "calibrate"):
            if self.problem == "regression" and getattr(self, field) is not None:
                raise WrongField(field, f"{field} is for classifiers, but the problem is declared as regression")
        self._fleet_fits()
        if self.group == self.target:
            raise WrongField("group", f"target {self.target!r} is also declared as group")
        self._optional_columns_are_not_needed()
        if self.drift.season and not self.time:
            raise WrongField("drift", "drift's season needs `time`, whose hour, weekday or month is matched")
        if self.known_at and not self.time:
            raise WrongField(
                "known_at", "known_at needs `time`: a label is used where it was known before the holdout begins"
            )
        for field, extent in (("window", self.window), ("holdout", self.holdout)):
            if isinstance(extent, str) and not self.time:
                raise WrongField(field, f"{extent!r} is a duration: declare `time`, or give a number of batches")
        for name, source in (("source", self.source), ("outcomes", self.outcomes)):
            if source is not None and source.divided_by is not None and source.time is None:
                raise WrongField(
                    name, f"{name}: period {source.divided_by!r} needs `time`, the column that divides the rows"
                )
        return self

    def _optional_columns_are_not_needed(self) -> None:
        roles = {self.target: "target", self.time: "time", self.group: "group", self.known_at: "known_at"}
        roles |= {**dict.fromkeys(self.where, "where"), **dict.fromkeys(self.key, "key")}
        if needed := [column for column in self.optional if column in roles]:
            role = roles[needed[0]]
            raise WrongField("optional", f"column {needed[0]!r} is declared as {role}: it cannot be optional")

    def _fleet_fits(self) -> None:
        if self.fleet is not None and self.fleet.by in (self.target, self.time, self.group, *self.drop, *self.optional):
            text = f"fleet's column {self.fleet.by!r} is also declared as target, time, group, drop or optional"
            raise WrongField("fleet", text)

    @property
    def training_version(self) -> str:
        """16 hex digits that change if the declaration would fit another model on the same data."""
        return digest_of_training(self)

    @property
    def features_version(self) -> str:
        """16 hex digits that change if the declaration would give other features for the same rows."""
        return digest_of_features(self)

    @property
    def not_features(self) -> list[str]:
        """Columns of the dataset that are not features unless the user's function returns them.

        The column of a fleet is kept, also if it is part of the key: it says which model a row goes to.
        """
        columns = (self.target, *self.key, self.group, *self.drop, self.time, self.known_at)
        return [name for name in columns if name and (self.fleet is None or name != self.fleet.by)]

    def suite_path(self) -> Path | None:
        """Return the suite file, or None if expectations are objects, come from a function, or are not declared."""
        return Path(self.expectations) if isinstance(self.expectations, str | Path) else None
