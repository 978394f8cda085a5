"""How often the alarms of a fleet's segments err: `python benchmarks/fleet_alarms.py --draws 100`.

Simulates batches of segments whose truth is known and prints, for decay and for drift: the share of batches with any
alarm where no segment changed, the mean share of false ones among the alarms where one segment in ten changed, and the
share of the changed segments that are found. Beside it, what a test of each segment at 5% would give. Then the
processor seconds of a batch of many segments.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from mlops_assets.decisions.segments.board import board
from mlops_assets.decisions.segments.decay import segment_decay
from mlops_assets.decisions.segments.drift import SegmentRows, sampled_rows, segment_drift

SEGMENTS, COLUMNS = 500, 8
NAMES = [f"s{number}" for number in range(SEGMENTS)]
MEMORIES: dict[str, float | None] = {"independent": 0.0, "AR(1) of 0.6": 0.6, "AR(1) of 0.7 in one of four": None}

LOSSES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "squared errors": lambda errors: errors**2,
    "absolute errors": np.abs,
    "lognormal": np.exp,
    "squares, heavy tails": lambda errors: np.abs(errors) ** 3.5,
    "wrong labels, 5%": lambda errors: (errors > 1.645) * 1.0,
}
FEATURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "normal": lambda values: values,
    "lognormal": np.exp,
    "six categories": lambda values: np.clip(np.floor(values + 3), 0, 5),
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--segments", type=int, default=5_000)
    asked = parser.parse_args(arguments)
    print(f"{SEGMENTS} segments, {asked.draws} draws, in %")
    for title, kinds, draw in (("decay", LOSSES, drawn_decay), ("drift", FEATURES, drawn_drift)):
        rates = [error_rates(kind, memory, asked.draws, draw) for kind in kinds for memory in MEMORIES]
        print(f"\n{title}\n{pd.DataFrame(rates).to_string(index=False)}", flush=True)
    print(f"\nProcessor seconds\n{pd.DataFrame([seconds(asked.segments)]).to_string(index=False)}")


Drawn = Callable[[str, float | None, np.ndarray, np.random.Generator], pd.DataFrame]


def error_rates(kind: str, memory: str, draws: int, drawn: Drawn) -> dict[str, object]:
    """Return how often there is any alarm without a change, and how many alarms are false and changes found."""
    any_alarm, false_share, found = np.zeros((draws, 2)), np.zeros((draws, 2)), np.zeros((draws, 2))
    for draw in range(draws):
        for share in (0.0, 0.1):
            random = np.random.default_rng([draw, len(kind), len(memory), int(10 * share)])
            truth = random.random(SEGMENTS) < share
            table = drawn(kind, MEMORIES[memory], truth, random)
            for rule, alarm in enumerate((table["alarm"].to_numpy(), (table["p"] <= 0.05).to_numpy())):
                if share:
                    false_share[draw, rule] = (alarm & ~truth).sum() / max(1, alarm.sum())
                    found[draw, rule] = alarm[truth].mean()
                else:
                    any_alarm[draw, rule] = alarm.any()
    figures = {"no change: any alarm": any_alarm, "one in ten: false": false_share, "one in ten: found": found}
    columns = {
        f"{name}{rule}": round(100 * float(rates[:, number].mean()), 1)
        for name, rates in figures.items()
        for number, rule in enumerate(("", ", 5% each"))
    }
    return {"rows": kind, "memory": memory, **columns}


def drawn_decay(kind: str, memory: float | None, truth: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    """Return the decision on 20 to 150 losses a segment on either side; errors of those that change grow by half."""
    sides = []
    for factor in (1.0, 1.5):
        segment = np.repeat(np.arange(SEGMENTS), random.integers(20, 150, SEGMENTS))
        errors = series(random, (len(segment),), memory, segment % 4 == 0)
        sides.append((LOSSES[kind](errors * np.where(truth[segment], factor, 1.0)), segment))
    scale = np.exp(random.normal(size=SEGMENTS))
    holdout, batch = ((losses * scale[segment], segment) for losses, segment in sides)
    return segment_decay(holdout, batch, NAMES, lambda mean: mean, 0.05)


def drawn_drift(kind: str, memory: float | None, truth: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    """Return the decision on 60 rows after 900; two of eight columns move by a standard deviation where it changes."""
    before, after = 900, 60
    some = (np.arange(SEGMENTS) % 4 == 0)[:, None]
    X = {}
    for column in range(COLUMNS):
        values = series(random, (SEGMENTS, before + after), memory, some)
        values[:, before:] += np.where(truth & (column < 2), 1.0, 0.0)[:, None]
        X[f"c{column}"] = FEATURES[kind](values)
    sides = [_segment_rows({name: values[:, part] for name, values in X.items()}) for part in _parts(before)]
    return segment_drift(sides[0], sides[1], NAMES, 0.05, 0.02)


def series(random: np.random.Generator, shape: tuple[int, ...], memory: float | None, some: np.ndarray) -> np.ndarray:
    """Return normal values, autocorrelated along the last axis; without `memory` only where `some`, by 0.7."""
    values = random.normal(size=shape)
    if memory == 0.0:
        return values
    share = 0.7 if memory is None else memory
    remembered = lfilter([np.sqrt(1 - share**2)], [1, -share], random.normal(size=shape), axis=-1)
    return np.where(some, remembered, values) if memory is None else remembered


def seconds(segments: int) -> dict[str, object]:
    """Return the processor seconds of 48 rows a segment, held against 64 of 20 columns, and of the board."""
    random, names = np.random.default_rng(0), [f"s{number}" for number in range(segments)]
    segment = np.tile(np.arange(segments), 48)
    losses = [(random.normal(size=len(segment)) ** 2, segment) for _ in range(2)]
    decay = drift = pd.DataFrame()
    reference, batch = (
        SegmentRows(
            pd.DataFrame(random.normal(size=(segments * rows, 20)), columns=[f"c{number}" for number in range(20)]),
            np.tile(np.arange(segments), rows),
            np.repeat(np.arange(rows), segments),
        )
        for rows in (64, 48)
    )
    figures: dict[str, object] = {"segments": segments}
    begin = time.process_time()
    decay = segment_decay(losses[0], losses[1], names, np.sqrt, 0.05)
    figures["decay"] = round(time.process_time() - begin, 2)
    begin = time.process_time()
    drift = segment_drift(reference, batch, names, 0.05, 0.02)
    figures["drift"] = round(time.process_time() - begin, 2)
    models = pd.DataFrame({"segment": names, "model": "pooled", "tried": True, "failed": False, "kept_for": 0})
    begin = time.process_time()
    board(models, decay.assign(since=""), drift.assign(since=""))
    figures["board"] = round(time.process_time() - begin, 2)
    return figures


def _parts(before: int) -> tuple[slice, slice]:
    return slice(0, before), slice(before, None)


def _segment_rows(columns: dict[str, np.ndarray]) -> SegmentRows:
    X = pd.DataFrame({name: values.ravel() for name, values in columns.items()})
    return sampled_rows(X, np.repeat(np.arange(SEGMENTS), len(X) // SEGMENTS), SEGMENTS)


if __name__ == "__main__":
    main()
