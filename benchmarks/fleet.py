"""What a fleet promises of its segments, and what it costs: `python benchmarks/fleet.py --draws 200`.

Simulates segments whose truth is known and prints, for the rule of a fleet (Benjamini-Hochberg at 5%), for separate
gates at 5%, and for Bonferroni's correction: the expected share of false ones among the segments that pass, and the
share of the segments with a gain that are found. Then the processor seconds of a fleet of many segments.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge

from mlops_assets.modelling.fitting.estimators import build
from mlops_assets.modelling.fleet import segment_table
from mlops_assets.modelling.predictions import predict
from mlops_assets.modelling.thresholds import ThresholdRule
from mlops_assets.statistics.segment_gains import segment_gains

SEGMENTS = 500
GAINING = {"none": 0.0, "one in ten": 0.1, "half": 0.5}
GAIN = 0.4
"""The mean gain of a segment that gains, in standard deviations of a row."""

KINDS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda random, n: random.normal(size=n),
    "t with 2 degrees": lambda random, n: random.standard_t(2, n) / 2,
    "exponential losses": lambda random, n: 1 - random.exponential(size=n),
    "lognormal losses": lambda random, n: (np.exp(0.5) - random.lognormal(size=n)) / 2.16,
    "squared errors": lambda random, n: (random.normal(size=n) ** 2 - 0.6 * random.standard_t(5, n) ** 2) / 2.5,
}
RULES = ("fleet", "separate gates", "Bonferroni")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--segments", type=int, default=5_000)
    asked = parser.parse_args(arguments)
    table = [error_rates(kind, share, asked.draws) for kind in KINDS for share in GAINING]
    print(f"{SEGMENTS} segments of 10 to 200 rows, {asked.draws} draws, in %")
    print(pd.DataFrame(table).to_string(index=False))
    print(f"\nProcessor seconds\n{pd.DataFrame([seconds(asked.segments)]).to_string(index=False)}")


def error_rates(kind: str, share: str, draws: int) -> dict[str, object]:
    """Return by rule the mean share of false ones among those that pass, and of the true ones that pass, in %."""
    false_share, power = np.zeros((draws, len(RULES))), np.zeros((draws, len(RULES)))
    for draw in range(draws):
        random = np.random.default_rng([draw, len(kind)])
        truth = random.random(SEGMENTS) < GAINING[share]
        segment = np.repeat(np.arange(SEGMENTS), random.integers(10, 200, SEGMENTS))
        scale = np.exp(random.normal(size=SEGMENTS))
        gains = scale[segment] * (KINDS[kind](random, len(segment)) + GAIN * truth[segment])
        found = segment_gains(gains, segment, SEGMENTS, draw)
        tested = max(1, int(np.count_nonzero(~np.isnan(found.p))))
        student = found.student
        for number, passed in enumerate((found.passed(0.05), student <= 0.05, student <= 0.05 / tested)):
            false_share[draw, number] = (passed & ~truth).sum() / max(1, passed.sum())
            power[draw, number] = (passed & truth).sum() / max(1, truth.sum())
    columns = {f"false, {rule}": 100 * false_share[:, number].mean() for number, rule in enumerate(RULES)}
    if GAINING[share]:
        columns |= {f"found, {rule}": 100 * power[:, number].mean() for number, rule in enumerate(RULES)}
    return {"losses": kind, "gaining": share, **{name: round(value, 1) for name, value in columns.items()}}


def seconds(segments: int, rows: int = 240) -> dict[str, object]:
    """Return the processor seconds of fit, scores of a row each, and table; one in ten has a slope of its own."""
    random = np.random.default_rng(0)
    segment = np.tile(np.arange(segments), rows)
    X = pd.DataFrame({"a": random.normal(size=len(segment)), "b": random.normal(size=len(segment)), "store": segment})
    y = pd.Series(np.where(segment < segments // 10, 3.0, 1.0) * X["a"] + random.normal(size=len(segment)))
    model = build(Ridge, {}, X, "regression", 0, y, ThresholdRule(fleet={"by": "store"}))
    fit = _seconds(lambda: model.fit(X, y))
    fleet = model.named_steps["fleet"]
    return {
        "segments": segments,
        "own models": len(fleet.models_),
        "fit": fit,
        "segments an hour": round(segments / fit * 3_600),
        "scores": _seconds(lambda: predict(model, X.tail(segments))),
        "table": _seconds(lambda: segment_table(fleet)),
    }


def _seconds(call: Callable[[], object]) -> float:
    begin = time.process_time()
    call()
    return round(time.process_time() - begin, 2)


if __name__ == "__main__":
    main()
