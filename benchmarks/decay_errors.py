"""How often the decay decision errs on batches of known truth: `python benchmarks/decay_errors.py --draws 5000`.

Row losses of a holdout and of a batch from one distribution (false alarms, each alone and 2 of the newest 3) or with
the batch's metric 20% or 50% worse (power). Losses are squared normal errors judged by RMSE, or lognormal ones with
sd 1 of the logarithm, judged by their mean; rows are independent or follow an AR(1) of 0.7 before they are made losses.
"""

import argparse
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import signal, stats

from mlops_assets.decisions.performance.decay import decay
from mlops_assets.decisions.retraining.decide import confirmed

ALPHA = 0.01
PHI = 0.7
SEED = 8_128
BATCHES_A_HOLDOUT = 5
HOLDOUTS, BATCHES = (500, 1_000, 5_000), (200, 1_000)

Row = dict[str, Any]


@dataclass(frozen=True)
class Losses:
    """Losses as a function of standard normal values (rows,), and the metric that is judged."""

    of_normal: Callable[[np.ndarray], np.ndarray]
    metric: str
    from_mean: Callable[[Any], Any]
    worse: Callable[[np.ndarray, float], np.ndarray]


LOSSES = {
    "squared normal": Losses(
        lambda z: stats.chi2.ppf(stats.norm.cdf(z), 1), "rmse", np.sqrt, lambda losses, by: losses * (1 + by) ** 2
    ),
    "lognormal": Losses(np.exp, "mae", lambda mean: mean, lambda losses, by: losses * (1 + by)),
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=5_000)
    parser.add_argument("--json", type=Path, help="a file for the rows of each table")
    asked = parser.parse_args(arguments)
    draws = asked.draws
    settings = list(product(LOSSES, (0.0, PHI), HOLDOUTS, BATCHES))
    null = show(
        "Batches like the holdout: % decay (nominal 1%); 2 of 3: % of batches at which 2 of the newest 3 are alarms",
        [false_alarms(*setting, draws) for setting in settings],
    )
    worse = [power(*setting, draws // 4) for setting in settings if setting[2] == 1_000]
    tables = {"null": null, "power": show("Worse batches: % decay", worse)}
    if asked.json:
        asked.json.write_text(json.dumps(tables))


def show(title: str, rows: Iterable[Row]) -> list[Row]:
    """Print a table and return its rows."""
    found = list(rows)
    print(f"\n{title}\n{pd.DataFrame(found).to_string(index=False)}", flush=True)
    return found


def false_alarms(kind: str, phi: float, holdout: int, batch: int, draws: int, seed: int = SEED) -> Row:
    """Shares of decay, in %, in batches from the distribution of the holdout; five batches share a holdout."""
    found: dict[float, list[list[bool]]] = {0.0: [], 0.1: []}
    for number in range(draws // BATCHES_A_HOLDOUT):
        draw = np.random.default_rng([seed, number])
        known = drawn(draw, kind, phi, holdout)
        series = [drawn(draw, kind, phi, batch) for _ in range(BATCHES_A_HOLDOUT)]
        for tolerance, alarms in found.items():
            alarms.append([decayed(kind, known, losses, tolerance) for losses in series])
    row: Row = {"losses": kind, "AR(1)": phi, "holdout": holdout, "batch": batch, "draws": draws}
    for tolerance, alarms in found.items():
        row[f"tolerance {tolerance:g}"] = _percent(np.ravel(alarms))
        windows = [confirmed(life[:end], 2, 3) for life in alarms for end in range(3, BATCHES_A_HOLDOUT + 1)]
        row[f"{tolerance:g}, 2 of 3"] = _percent(windows)
    return row


def power(kind: str, phi: float, holdout: int, batch: int, draws: int, seed: int = SEED) -> Row:
    """Shares of decay, in %, where the metric is 20% and 50% worse, with the tolerance of 10%."""
    row: Row = {"losses": kind, "AR(1)": phi, "holdout": holdout, "batch": batch, "draws": draws}
    for by in (0.2, 0.5):
        seen = []
        for number in range(draws):
            draw = np.random.default_rng([seed, 1, number])
            known, losses = drawn(draw, kind, phi, holdout), drawn(draw, kind, phi, batch)
            seen.append(decayed(kind, known, LOSSES[kind].worse(losses, by), 0.1))
        row[f"{by:.0%} worse"] = _percent(seen)
    return row


def drawn(draw: np.random.Generator, kind: str, phi: float, rows: int) -> np.ndarray:
    """Losses (rows,) in order of time."""
    noise = draw.normal(size=rows + 100) * (1 - phi**2) ** 0.5
    return LOSSES[kind].of_normal(np.asarray(signal.lfilter([1.0], [1.0, -phi], noise)[100:]))


def decayed(kind: str, holdout: np.ndarray, batch: np.ndarray, tolerance: float) -> bool:
    """The verdict on a batch."""
    judged = LOSSES[kind]
    return decay(holdout, batch, judged.metric, judged.from_mean, ALPHA, tolerance).verdict == "decay"


def _percent(hits: Iterable[Any]) -> float:
    return round(100 * float(np.mean([bool(hit) for hit in hits])), 2)


if __name__ == "__main__":
    main()
