"""What a fleet promises of its segments, and what it costs: `python benchmarks/fleet.py --draws 200` or `--costs`.

`--draws` simulates segments whose truth is known and prints, for the rule of a fleet (Benjamini-Hochberg at 5%), for
separate gates at 5%, and for Bonferroni's correction: the expected share of false ones among the segments that pass,
and the share of the segments with a gain that are found. Then how often the whole is promoted, which is judged on the
rows that its segments were chosen on. `--costs` runs a whole loop and prints its seconds (see fleet_costs.py).
"""

import argparse
from collections.abc import Callable

import fleet_costs
import numpy as np
import pandas as pd

from mlops_assets.decisions.promotion.comparison import compare
from mlops_assets.modelling.fleet import FleetModel, keep_champions
from mlops_assets.modelling.metrics import metric
from mlops_assets.modelling.predictions import Predictions
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
NOISE: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda random, n: random.normal(size=n),
    "t with 5 degrees": lambda random, n: random.standard_t(5, n) / 1.29,
}
FEW = 100
"""Segments of a draw in which the whole is judged."""

RULES = ("fleet", "separate gates", "Bonferroni")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, help="print error rates, by so many draws")
    parser.add_argument("--whole", type=int, help="only how often the whole is promoted, by so many draws")
    parser.add_argument("--costs", action="store_true", help="print the seconds of a whole loop")
    parser.add_argument("--segments", type=int, default=5_000, help="of --costs")
    parser.add_argument("--workers", type=int, help="of --costs, as a model declares them")
    asked = parser.parse_args(arguments)
    if not (asked.draws or asked.whole or asked.costs):
        parser.error("expected --draws, --whole or --costs")
    if asked.draws:
        table = [error_rates(kind, share, asked.draws) for kind in KINDS for share in GAINING]
        print(f"{SEGMENTS} segments of 10 to 200 rows, {asked.draws} draws, in %")
        print(pd.DataFrame(table).to_string(index=False), flush=True)
    if draws := asked.whole or asked.draws:
        rates = [whole_rates(kind, gaining, new, draws) for kind in NOISE for gaining in (0.0, 0.1) for new in (0, 10)]
        print(f"\nThe whole: {FEW} segments of 20 to 200 rows, {draws} draws, in %")
        print(pd.DataFrame(rates).to_string(index=False), flush=True)
    if asked.costs:
        fleet_costs.costs(asked.segments, asked.workers)


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


def whole_rates(kind: str, gaining: float, new: int, draws: int) -> dict[str, object]:
    """Return how often some segments pass, and how often the whole of them and of the kept ones is then promoted.

    The champion is wrong by as much as the challenger, in the other direction: no segment gains, but for the share
    `gaining`, where the challenger is wrong by half as much. The champion has not seen `new` of the segments.
    """
    passed, promoted, measured, true = (np.zeros(draws) for _ in range(4))
    for draw in range(draws):
        random = np.random.default_rng([draw, new, 7])
        segment = np.repeat(np.arange(FEW), random.integers(20, 200, FEW))
        segment = segment[random.permutation(len(segment))]
        wrong = 0.3 * np.exp(random.normal(size=FEW)) * random.choice([-1, 1], FEW)
        gains = np.where(random.random(FEW) < gaining, 0.5, 1.0)
        y = NOISE[kind](random, len(segment))
        X = pd.DataFrame({"champion": wrong[segment], "challenger": -(gains * wrong)[segment], "store": segment})
        champion, challenger = _reads("champion", range(new, FEW), draw), _reads("challenger", range(FEW), draw)
        losses = [(y - X[name]) ** 2 for name in ("champion", "challenger")]
        whole = keep_champions(challenger, champion, (losses[0] - losses[1]).to_numpy(), X)
        before, after = (Predictions(fleet.predict(X)) for fleet in (champion, whole))
        if np.array_equal(before.value, after.value):  # nothing has passed, and an equal version is not promoted
            continue
        verdict = compare(y, before, after, metric("rmse"), seed=draw)
        passed[draw], promoted[draw] = len(whole.route_) < FEW, verdict.verdict == "promote"
        measured[draw] = np.mean((y - before.value) ** 2 - (y - after.value) ** 2)
        true[draw] = np.mean(before.value**2 - after.value**2)
    row = {"noise": kind, "segments that gain": gaining, "new to the champion": new}
    row |= {"some pass": round(100 * passed.mean(), 1), "promoted": round(100 * promoted.mean(), 1)}
    return row | ({"gain measured / true": round(measured.mean() / true.mean(), 2)} if gaining else {})


class _Reads:
    """A fitted model that predicts what a column holds."""

    def __init__(self, column: str) -> None:
        self._column = column

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return X[self._column].to_numpy()


def _reads(column: str, segments: range, seed: int) -> FleetModel:
    fleet = FleetModel(None, "store", seed=seed)
    fleet.feature_names_in_ = np.array(["champion", "challenger", "store"], dtype=object)
    fleet.segments_, fleet.pooled_, fleet.shared_ = [str(number) for number in segments], _Reads(column), None
    fleet.models_, fleet.kept_, fleet.route_, fleet.against_, fleet.failed_ = {}, [], {}, {}, {}
    return fleet


if __name__ == "__main__":
    main()
