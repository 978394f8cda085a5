"""The values that a search may choose from: lists and ranges of numbers, checked before anything is fitted."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlops_assets.errors import DeclarationError
from mlops_assets.lazy import np
from mlops_assets.text import did_you_mean, shown


@dataclass(frozen=True)
class Choices:
    """A list of values to choose from."""

    values: tuple[Any, ...]

    def listed(self) -> tuple[Any, ...] | None:
        """Return all values."""
        return self.values

    def draw(self, random: np.random.Generator) -> Any:
        """Return one value, each with the same probability."""
        return self.values[int(random.integers(len(self.values)))]

    def suggest(self, name: str, trial: Any) -> Any:
        """Return the value that an Optuna trial proposes."""
        # By position: Optuna takes only plain values as choices, and an estimator takes more (tuples, objects).
        return self.values[trial.suggest_categorical(name, list(range(len(self.values))))]


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; integers if bounds and step are; `log` draws by magnitude."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    @property
    def whole(self) -> bool:
        """Whether the range holds integers only."""
        return all(isinstance(bound, int) for bound in (self.low, self.high, self.step or 1))

    def listed(self) -> tuple[Any, ...] | None:
        """Return all values if the range has a step, else None."""
        if self.step is None:
            return None
        count = math.floor((self.high - self.low) / self.step + 1e-9) + 1
        return tuple(self.low + number * self.step for number in range(count))

    def draw(self, random: np.random.Generator) -> Any:
        """Return one number of the range."""
        values = self.listed()
        if values is not None:
            return values[int(random.integers(len(values)))]
        if self.whole and not self.log:
            return int(random.integers(int(self.low), int(self.high), endpoint=True))
        if not self.log:
            return float(random.uniform(self.low, self.high))
        # Half a step wider at both ends, so that the bounds of integers are as likely as the values between.
        margin = 0.5 if self.whole else 0.0
        value = math.exp(random.uniform(math.log(self.low - margin), math.log(self.high + margin)))
        value = min(max(round(value) if self.whole else value, self.low), self.high)
        return int(value) if self.whole else float(value)

    def suggest(self, name: str, trial: Any) -> Any:
        """Return the number that an Optuna trial proposes."""
        if self.whole:
            return trial.suggest_int(name, self.low, self.high, step=int(self.step or 1), log=self.log)
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)


Space = dict[str, Choices | Range]


def as_space(space: Mapping[str, Sequence[Any] | Mapping[str, Any]]) -> Space:
    """Return the declared space, checked; `DeclarationError` names the parameter and what is wrong with it."""
    return {name: _range(name, of) if isinstance(of, Mapping) else _choices(name, of) for name, of in space.items()}


def combinations(space: Space) -> list[dict[str, Any]] | None:
    """Return all combinations, the last parameter varying fastest; None if a range without a step is endless."""
    lists = [values for of in space.values() if (values := of.listed()) is not None]
    if len(lists) < len(space):
        return None
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*lists)]


def candidates(space: Space, count: int, seed: int) -> list[dict[str, Any]]:
    """Return `count` combinations drawn by `seed`; without repetition, and at most all, if they can be listed."""
    random = np.random.default_rng(seed)
    size = math.prod(len(of.listed() or ()) or count + 1 for of in space.values())
    if size <= 100_000:
        grid = combinations(space)
        if grid is not None:
            numbers = random.choice(len(grid), min(count, len(grid)), replace=False)
            return [grid[int(number)] for number in numbers]
    return [{name: of.draw(random) for name, of in space.items()} for _ in range(count)]


def _choices(name: str, values: Any) -> Choices:
    if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray) or len(values) == 0:
        raise DeclarationError(
            f"search space of {shown(name)} is {shown(values)}: expected a list of values or a range, e.g. "
            "[100, 300] or {'low': 0.01, 'high': 1.0, 'log': True}."
        )
    return Choices(tuple(value.item() if isinstance(value, np.generic) else value for value in values))


def _range(name: str, of: Mapping[str, Any]) -> Range:
    known = ("low", "high", "log", "step")
    for key in of:
        if key not in known:
            hint = did_you_mean(str(key), known)
            raise DeclarationError(f"search space of {shown(name)}: a range has no {shown(key)}. {hint}")
    numbers = [of.get("low"), of.get("high"), of.get("step", 1)]
    if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers):
        raise DeclarationError(
            f"search space of {shown(name)}: {shown(dict(of))} needs numbers for low, high and step."
        )
    span = Range(of["low"], of["high"], bool(of.get("log", False)), of.get("step"))
    if not span.low < span.high or (span.step is not None and span.step <= 0):
        raise DeclarationError(
            f"search space of {shown(name)}: expected low < high and step > 0; got {shown(dict(of))}."
        )
    if span.log and (span.low <= 0 or span.step is not None):
        raise DeclarationError(f"search space of {shown(name)}: a log range needs low > 0 and no step.")
    return span
