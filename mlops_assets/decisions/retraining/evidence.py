"""What a retraining decision is made from: the declared policy and what is known of a model and its batches."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Policy(Protocol):
    """What an engineer declared of retraining; see `mlops_assets.Retraining`."""

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
    """Whether a report of one kind raised an alarm, oldest first.

    Only batches count that the champion was asked about and that the last training did not know: what a training has
    answered to does not ask for another. One that learnt nothing new to the champion answers nothing.
    """

    batches: tuple[str, ...] = ()
    flags: tuple[bool, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """All that a decision is made from. Moments are aware of their zone.

    champion, champion_trained: version and moment of training; None without a champion.
    batches: labelled batches that can be trained on; new_batches, new_rows: those that neither the champion nor the
        last training was made of, and their labelled rows. since_last: those that the last training knew nothing of.
    trained_rows: the most labelled rows that the champion or the last training was fitted on; trainable_rows: those of
        the training set that would be made now.
    data_version: of the training set that would be made now; None if no set can be made. cannot_train: why no set can
        be made, or that its rows are too few; "" if it can be trained on.
    never_trained: no training of the present declaration was ever finished.
    nothing_new: the rows of that set to train on are the champion's, and so is the declaration.
    outcome: the verdict of the same data and declaration, where they were trained before.
    unfinished: the last training died or failed before it was decided on; failures: how often on this data and
        declaration; in_a_row: how often on any data since the last training that was decided on; last_failure: when.
    waits: the last training's version waits for a person. cancelled: a person cancelled the last run on this data.
    trainings: when each version was made that no person asked for. under_way: the run of a training, or "".
    intake: batches that are being taken in, or are to be; intake_since: when this began to hold back a training.
    clock: the moment of the schedule that asks, or None.
    registry_away: why the registry does not answer; "" where it does, or was not asked.
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
