"""What a retraining decision is made from: the declared policy and what is known of a model and its batches."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Policy(Protocol):
    """The declared policy of retraining; see `mlops_assets.Retraining`."""

    @property
    def on_drift(self) -> bool: ...
    @property
    def on_decay(self) -> bool: ...
    @property
    def confirm(self) -> tuple[int, int]: ...
    @property
    def min_new_rows(self) -> int | None: ...
    @property
    def growth(self) -> float | None: ...
    @property
    def max_age(self) -> str | None: ...
    @property
    def on_new_version(self) -> bool: ...
    @property
    def first_after(self) -> int: ...
    @property
    def cool_down(self) -> int | str: ...
    @property
    def budget(self) -> int: ...
    @property
    def period(self) -> str: ...
    @property
    def attempts(self) -> int: ...


@dataclass(frozen=True)
class Alarms:
    """Whether each report of one kind raised an alarm, oldest first.

    Only batches that were judged against the champion, and that the last training did not know, count. What a training
    has answered asks for no other training. A training without new rows for the champion answers nothing.
    """

    batches: tuple[str, ...] = ()
    flags: tuple[bool, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that a decision is made from. All moments have a time zone.

    champion, champion_trained: version and moment of training; None without a champion.
    batches, since_last: labelled batches that can be trained on, and those that the last training did not know.
    new_batches, new_rows: batches that neither the champion nor the last training used, and their labelled rows.
    trained_rows: the most labelled rows that the champion or the last training was fitted on.
    trainable_rows: labelled rows of the training set that would be made now.
    data_version: of the training set that would be made now, or None. cannot_train: why no set can be made, or that its
        rows are too few; "" if it can be trained on.
    never_trained: no training of the current declaration was ever finished.
    nothing_new: the training rows of that set, and the declaration, are the champion's.
    outcome: the verdict of the same data and declaration, if they were trained before.
    unfinished: the last training died or failed before its decision. last_failure: when.
    failures: failed trainings on this data and declaration. in_a_row: those on any data since the last training with a
        decision.
    waits: the last training's version waits for a person. cancelled: a person cancelled the last run on this data.
    trainings: when each version was made that no person asked for. under_way: the run of a training, or "".
    intake: batches that are being taken in, or are due; intake_since: when this began to hold a training.
    clock: the moment of the schedule that asks, or None.
    registry_away: why the registry does not answer; "" if it does, or was not asked.
    """

    champion: int | None = None
    champion_trained: datetime | None = None
    drift: Alarms = Alarms()
    decay: Alarms = Alarms()
    batches: int = 0
    new_batches: int = 0
    new_rows: int = 0
    since_last: int = 0
    trained_rows: int = 0
    trainable_rows: int = 0
    data_version: str | None = None
    declaration_version: str = ""
    cannot_train: str = ""
    never_trained: bool = False
    nothing_new: bool = False
    outcome: str = ""
    unfinished: str = ""
    failures: int = 0
    in_a_row: int = 0
    waits: bool = False
    cancelled: bool = False
    last_failure: datetime | None = None
    last_training: datetime | None = None
    trainings: tuple[datetime, ...] = ()
    under_way: str = ""
    intake: int = 0
    intake_since: datetime | None = None
    clock: datetime | None = None
    registry_away: str = ""
