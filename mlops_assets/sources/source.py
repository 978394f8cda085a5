"""`Source`: the contract of all sources, those of the pack and a user's own."""

import hashlib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from pydantic import Field

from mlops_assets.lazy import pd
from mlops_assets.sources.assets import Assets
from mlops_assets.sources.limits import Limits
from mlops_assets.sources.look import Look, Period
from mlops_assets.strict_model import Declared, DeclaredWrongly, Problem, without_address

_METHODS = {"look": "look(self, seen) -> Look", "read": "read(self, key) -> DataFrame"}


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is on record of the batches of a source before it is looked at.

    `marks`: of batches that were taken in; `tried`: of batches that wait for their next attempt; `asked`: gives the
    batches that were requested; `seen` and `rest`: what `keep` returned after the last look.
    """

    marks: Mapping[str, str]
    tried: Mapping[str, str]
    asked: Callable[[], Iterable[str]]
    seen: Mapping[str, str]
    rest: str = ""


class Source(Declared):
    """Where batches come from. A source of your own derives from this class and defines `look` and `read`.

    Its options are fields, as of any pydantic model; the first may be given by position. `time` is filled in from the
    model where it is not declared.
    """

    time: str | None = Field(default=None, description="Column that says when a row happened; needed with `period`.")
    limits: Limits = Field(default=Limits(), description="The largest batch that is taken.")

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Refuse a class without the two methods that each source needs."""
        for method, signature in _METHODS.items():
            if getattr(cls, method) is getattr(Source, method):
                raise DeclaredWrongly(
                    cls.__name__, [Problem((), f"the method {method!r} is missing; define {signature}")]
                )
        return super().__new__(cls)

    def __init__(self, first: Any = None, /, **options: Any) -> None:
        super().__init__(**(options if first is None else {self.first_field(): first, **options}))

    def look(self, seen: Mapping[str, str]) -> Look:
        """Return which batches are ready, each with a mark that changes when the batch changes; it must be cheap.

        `seen` has the marks of the batches that were taken in, and "" for those that were requested. Raise
        `SourceUnavailableError` where the source does not answer.
        """
        raise NotImplementedError

    def read(self, key: str) -> "pd.DataFrame":
        """Return all rows of a batch.

        Raise `SourceError` where the batch is at fault: it is rejected with that reason. Raise
        `SourceUnavailableError` where the source does not answer: the batch is tried again.
        """
        raise NotImplementedError

    def describe(self) -> str:
        """Return one sentence on what a batch is."""
        return f"{self.title}: each key that it gives is a batch."

    def recall(self, known: Known) -> Mapping[str, str]:
        """Return what `look` gets as `seen`."""
        return {**dict.fromkeys(known.asked(), ""), **known.marks}

    def keep(self, look: Look, known: Known) -> tuple[dict[str, str], str]:
        """Return what the next look needs as `Known.seen` and `Known.rest`, of bounded size."""
        return {}, ""

    def within(self, assets: Assets) -> Self:
        """Return the source with access to the assets of the project; most need none."""
        return self

    @property
    def asset_key(self) -> str | None:
        """The asset of Dagster that the source reads; None where it reads none."""
        return None

    @property
    def divided_by(self) -> Period | None:
        """The period that rows are divided by; None where each batch stays as the source gives it."""
        return None

    @property
    def database(self) -> str | None:
        """The URL of the database whose role may do more than it should; None where there is none to look at."""
        return None

    def excess_rights(self) -> list[str]:
        """Return what the role of the database may do beyond reading."""
        return []

    def inferred(self, columns: Iterable[str]) -> set[str]:
        """Return the columns whose kind was inferred from text, as of a CSV file."""
        return set()

    def digest_of(self) -> Any:
        """Return what decides how batches are read, as JSON: code and options, without options left at their default.

        A rejected batch is read again once this has changed.
        """
        options = {name: value for name, value in self if value != type(self).model_fields[name].default}
        return _code(type(self)), {name: _plain(value) for name, value in options.items()}

    @property
    def title(self) -> str:
        """The source as messages name it."""
        return self._title(type(self).__name__, self.__dict__)

    def with_time(self, name: str | None) -> Self:
        """Return the same source with the model's column of time, where it declares none itself."""
        return self if self.time is not None or name is None else self.model_copy(update={"time": name})

    @classmethod
    def first_field(cls) -> str:
        """Return the field that may be given by position: the first that the class adds to those of all sources."""
        return next((name for name in cls.model_fields if name not in _SHARED), "time")

    @classmethod
    def _title(cls, kind: str, values: Mapping[str, Any]) -> str:
        first = values.get(cls.first_field())
        return kind if first is None else f"{kind} {without_address(repr(first))[:120]}"


_SHARED = ("time", "limits", "period")


def _code(kind: type[Source]) -> list[str]:
    """Return the name of a class, and a digest of its source and that of the classes between it and `Source`."""
    digest = hashlib.sha256()
    for part in kind.__mro__[: kind.__mro__.index(Source)]:
        with suppress(OSError, TypeError):  # a class that was made in an interactive session has no file
            digest.update(inspect.getsource(part).encode())
    return [f"{kind.__module__}.{kind.__qualname__}", digest.hexdigest()[:16]]


def name_of(function: Callable[..., Any]) -> str:
    """Return the dotted name of a callable."""
    return f"{function.__module__}.{getattr(function, '__qualname__', type(function).__name__)}"


def _plain(value: Any) -> str:
    """Return an option as text that is the same in all processes."""
    if callable(value):
        return name_of(value)
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
