"""How often the promotion gate errs: `python benchmarks/gate_errors.py --draws 2000`.

Simulates pairs of models whose truth is known, compares them as the gate does, and prints the shares that were
promoted, beside the rule "promote what is better or equal" on the same draws. 500 resamples stand for the gate's 2,000:
the noise of their 5% bound (0.095 of a standard error) makes 5.08% of a type-I error of 5%: the figures err upwards.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import signal, stats
from sklearn.linear_model import Ridge

from mlops_assets.decisions.promotion.comparison import Verdict, compare
from mlops_assets.decisions.promotion.gates import beats_baseline
from mlops_assets.modelling.fitting.baselines import baselines
from mlops_assets.modelling.metrics import Metric, metric
from mlops_assets.modelling.predictions import Predictions, predict

DATA = Path(os.environ.get("MLOPS_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
RESAMPLES = 500
SEED = 8_128
PHI = 0.7
ROWS = (200, 1_000, 5_000)
REGRESSION, CLASSIFICATION = ("rmse", "mae"), ("log_loss", "accuracy", "roc_auc")
KINDS = ("independent", "errors AR(1) 0.7", "differences AR(1) 0.7")
SKEWED = ("lognormal prices", "t with 3 degrees", "zero-inflated counts")

Row = dict[str, Any]
Pair = tuple[np.ndarray, Predictions, Predictions]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=2_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, help="a file for the rows of each table")
    asked = parser.parse_args(arguments)
    tables: dict[str, list[Row]] = {}
    settings = [(name, rows, kind) for kind in KINDS for rows in ROWS for name in (*REGRESSION, *CLASSIFICATION)]
    with ProcessPoolExecutor(asked.processes, mp_context=get_context("spawn")) as pool:
        null = pool.map(equal_models, *zip(*settings, strict=True), [asked.draws] * len(settings))
        uneven = [(name, rows, kind) for kind in SKEWED for rows in ROWS for name in REGRESSION]
        skewed = pool.map(skewed_errors, *zip(*uneven, strict=True), [asked.draws] * len(uneven))
        power = pool.map(one_point, ROWS * 2, [-0.01] * 3 + [0.01] * 3, [asked.draws] * 6)
        real = pool.map(real_data, ("bike_hourly", "elec2"), [asked.draws // 10] * 2)
        tables["equal"] = show("Equal models: % promoted (type-I error, nominal 5%)", null)
        tables["skewed"] = show("Equal models, few rows carry the difference: % promoted", skewed)
        tables["one point"] = show("Accuracy 0.85 against 0.84 or 0.86, disagreeing on 8% of rows: % promoted", power)
        noise = pool.map(first_of_noise, (2, 10), [asked.draws] * 2)
        tables["noise"] = show("A first model of noise, 900 rows: % that beat the baseline `dummy` on 300 rows", noise)
        tables["real"] = show("Real data, models fitted on halves of the months before: % promoted", chain(*real))
    tables["seconds"] = show("CPU seconds of one comparison, 100,000 rows, 2,000 resamples", seconds())
    if asked.json:
        asked.json.write_text(json.dumps(tables))


def show(title: str, rows: Iterable[Row]) -> list[Row]:
    """Print a table and return its rows."""
    found = list(rows)
    print(f"\n{title}\n{pd.DataFrame(found).to_string(index=False)}", flush=True)
    return found


def equal_models(name: str, rows: int, kind: str, draws: int, seed: int = SEED) -> Row:
    """Verdicts on two models whose expected metric is the same, over so many draws; shares in %."""
    make = _regressors if name in REGRESSION else _classifiers
    verdicts = _verdicts(lambda draw: make(draw, name, rows, kind), metric(name), draws, seed)
    return {"metric": name, "rows": rows, "kind": kind, **_shares(verdicts)}


def skewed_errors(name: str, rows: int, kind: str, draws: int, gain: float = 0.0, seed: int = SEED) -> Row:
    """As `equal_models` for errors of heavy tails, beside a paired t-test at 5% on the row losses.

    With a `gain` the errors of the challenger's own are smaller by that share.
    """
    pairs: list[Pair] = []

    def pair(draw: np.random.Generator) -> Pair:
        pairs.append(_uneven(draw, rows, kind, 1.0 - gain))
        return pairs[-1]

    verdicts = _verdicts(pair, metric(name), draws, seed)
    power = 2 if name == "rmse" else 1
    losses = [[np.abs(said.value - y) ** power for said in models] for y, *models in pairs]
    tested = [stats.ttest_rel(*each, alternative="greater").pvalue < 0.05 for each in losses]
    return {"metric": name, "rows": rows, "kind": kind, **_shares(verdicts), "paired t": _percent(tested)}


def one_point(rows: int, gain: float, draws: int, seed: int = SEED) -> Row:
    """Verdicts on a challenger whose accuracy is `gain` above 0.85, beside a one-sided paired t-test at 5%."""
    pairs: list[Pair] = []

    def pair(draw: np.random.Generator) -> Pair:
        champion_right, challenger_right = np.array([(1, 1), (1, 0), (0, 1), (0, 0)])[
            draw.choice(4, rows, p=[0.81 + gain / 2, 0.04 - gain / 2, 0.04 + gain / 2, 0.11 - gain / 2])
        ].T
        pairs.append((np.ones(rows, dtype=int), _said(champion_right), _said(challenger_right)))
        return pairs[-1]

    verdicts = _verdicts(pair, metric("accuracy"), draws, seed)
    differences = [challenger.value - champion.value for _, champion, challenger in pairs]
    limit = stats.t.ppf(0.95, rows - 1)
    with np.errstate(invalid="ignore"):
        tested = [each.mean() / (each.std(ddof=1) / rows**0.5) > limit for each in differences]
    return {"gain": gain, "rows": rows, **_shares(verdicts), "paired t": _percent(tested)}


def first_of_noise(features: int, draws: int, seed: int = SEED) -> Row:
    """How often a linear model passes the gate `beats_baseline` although its features say nothing about the labels.

    It is trained on 900 rows and compared on 300. The gate compares two numbers; it is not a statistical test.
    """
    passed = []
    for number in range(draws):
        draw = np.random.default_rng([seed, number])
        X, y = pd.DataFrame(draw.normal(size=(1_200, features))).add_prefix("x"), pd.Series(draw.normal(size=1_200))
        said = Predictions(Ridge().fit(X[:900], y[:900]).predict(X[900:]))
        dummy = baselines(X[:900], y[:900], X[900:], y[900:], "regression", number, ["dummy"])["dummy"]
        scores = [metric("rmse").function(y[900:].to_numpy(), each) for each in (said, dummy)]
        passed.append(beats_baseline(scores[0], {"dummy": scores[1]}, ["dummy"], "rmse", False).passed)
    return {"features": features, "draws": draws, "passed": _percent(passed)}


def real_data(name: str, pairs: int, seed: int = SEED) -> list[Row]:
    """Verdicts on two models fitted on two random halves of three months, judged on the month after.

    "fitted": roles by a fair coin. The two have the same expected quality but differ once fitted, so promotions are no
    errors as such. "coin a day": for each day a coin says whose predictions are the challenger's, which makes the two
    equal in expectation on these very rows while hours of a day hang together as they do: a type-I error.
    """
    X, y, month, day = _bikes() if name == "bike_hourly" else _electricity()
    last = int(month.max())
    names = ["rmse", "mae"] if name == "bike_hourly" else ["log_loss", "accuracy"]
    found: dict[tuple[str, str], list[Verdict]] = {}
    for number in range(pairs):
        draw = np.random.default_rng([seed, number])
        holdout = 3 + number % (last - 2)
        later = np.flatnonzero(month == holdout)
        before = draw.permutation(np.flatnonzero((month < holdout) & (month >= holdout - 3)))
        one, other = (_fitted(X, y, half, later) for half in np.array_split(before, 2))
        daily = draw.random(int(day.max()) + 1) < 0.5
        for design, swap in (("fitted", np.full(len(later), draw.random() < 0.5)), ("coin a day", daily[day[later]])):
            for each in names:
                pair = (_mixed(one, other, swap), _mixed(other, one, swap))
                verdict = compare(y[later], *pair, metric(each), resamples=RESAMPLES, seed=number)
                found.setdefault((design, each), []).append(verdict)
    rows = len(y) // (last + 1)
    return [
        {"data": name, "roles": design, "metric": each, "rows": f"about {rows}", **_shares(verdicts)}
        for (design, each), verdicts in found.items()
    ]


def seconds(rows: int = 100_000, names: Iterable[str] = (*REGRESSION, *CLASSIFICATION)) -> list[Row]:
    """CPU seconds of a comparison with all resamples."""
    draw = np.random.default_rng(SEED)
    found = []
    for name in names:
        make = _regressors if name in REGRESSION else _classifiers
        y, champion, challenger = make(draw, name, rows, "independent")
        compare(y[:100], champion.take(np.arange(100)), challenger.take(np.arange(100)), metric(name))  # imports scipy
        begin = time.process_time()
        compare(y, champion, challenger, metric(name))
        found.append({"metric": name, "rows": rows, "seconds": round(time.process_time() - begin, 2)})
    return found


def _verdicts(make: Callable[[np.random.Generator], Pair], judged_by: Metric, draws: int, seed: int) -> list[Verdict]:
    pairs = (make(np.random.default_rng([seed, number])) for number in range(draws))
    return [compare(*pair, judged_by, resamples=RESAMPLES, seed=number) for number, pair in enumerate(pairs)]


def _shares(verdicts: list[Verdict]) -> Row:
    words = [each.verdict for each in verdicts]
    return {
        "draws": len(words),
        "promoted": _percent(word == "promote" for word in words),
        "kept": _percent(word == "keep" for word in words),
        ">=": _percent(each.effect >= 0 for each in verdicts),
    }


def _percent(hits: Iterable[Any]) -> float:
    return round(100 * float(np.mean([bool(hit) for hit in hits])), 2)


def autoregression(draw: np.random.Generator, rows: int, phi: float) -> np.ndarray:
    """A stationary AR(1) series (rows,) of variance 1."""
    noise = draw.normal(size=rows + 100) * (1 - phi**2) ** 0.5
    return np.asarray(signal.lfilter([1.0], [1.0, -phi], noise)[100:])


def _regressors(draw: np.random.Generator, name: str, rows: int, kind: str) -> Pair:
    """Errors around a target of 0, half of their variance shared by both models."""
    if kind.startswith("differences"):
        shared, apart = 5 + draw.random(rows), autoregression(draw, rows, PHI) / 2
        losses = [np.maximum(shared + side * apart, 0.0) for side in (1, -1)]
        errors = [loss**0.5 if name == "rmse" else loss for loss in losses]
    else:
        phi = PHI if kind.startswith("errors") else 0.0
        shared, *own = (autoregression(draw, rows, phi) for _ in range(3))
        errors = [(shared + each) / 2**0.5 for each in own]
    champion, challenger = (Predictions(each) for each in errors)
    return np.zeros(rows), champion, challenger


def _uneven(draw: np.random.Generator, rows: int, kind: str, own: float) -> Pair:
    """Errors with a part that both models share and one of each model's own, `own` times as great the challenger's."""
    if kind == "t with 3 degrees":
        shared, one, other = draw.standard_t(3, size=(3, rows))
        return np.zeros(rows), Predictions(shared + one), Predictions(shared + own * other)
    shared, one, other = draw.normal(size=(3, rows))
    level, spread = np.exp(draw.normal(size=rows)), 0.2
    y = level
    if kind == "zero-inflated counts":
        y, spread = np.where(draw.random(rows) < 0.7, 0.0, draw.poisson(3 * level)), 0.3
        level = 0.3 * 3 * level
    champion, challenger = (level * np.exp(spread * (shared + each)) for each in (one, own * other))
    return y, Predictions(champion), Predictions(challenger)


def _classifiers(draw: np.random.Generator, name: str, rows: int, kind: str) -> Pair:
    """Two classes; a model's log-odds for the true one are its margin, half of whose variance both models share."""
    y = draw.integers(0, 2, rows)
    if kind.startswith("differences"):
        return y, *_classifiers_apart(draw, name, y)
    phi = PHI if kind.startswith("errors") else 0.0
    shared, *own = (autoregression(draw, rows, phi) for _ in range(3))
    return y, *(_of_margin(1 + (shared + each) / 2**0.5, y) for each in own)


def _classifiers_apart(draw: np.random.Generator, name: str, y: np.ndarray) -> list[Predictions]:
    rows = len(y)
    if name == "accuracy":  # right minus right keeps its value with probability 0.7: DAR(1), Jacobs & Lewis 1978
        fresh = np.maximum.accumulate(np.where(draw.random(rows) < 1 - PHI, np.arange(rows), 0))
        apart = draw.choice([-1, 0, 1], rows, p=[0.15, 0.7, 0.15])[fresh]
        both = draw.random(rows) < 0.8
        return [_said(np.where(apart, side * apart > 0, both), y) for side in (1, -1)]
    apart = autoregression(draw, rows, PHI)
    if name == "log_loss":
        shared = 0.6 + 0.2 * draw.random(rows)
        surprises = [np.clip(shared + side * 0.1 * apart, 0.01, None) for side in (1, -1)]
        return [_of_margin(-np.log(np.expm1(surprise)), y) for surprise in surprises]
    shared = 1 + draw.normal(size=rows)
    return [_of_margin(shared + side * apart / 2, y) for side in (1, -1)]


def _of_margin(margin: np.ndarray, y: np.ndarray) -> Predictions:
    positive = 1 / (1 + np.exp(-np.where(y == 1, margin, -margin)))
    return Predictions((positive > 0.5).astype(int), np.column_stack([1 - positive, positive]), np.array([0, 1]))


def _said(right: np.ndarray, y: np.ndarray | int = 1) -> Predictions:
    return Predictions(np.where(right, y, 1 - np.asarray(y)), None, np.array([0, 1]))


def _bikes() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    frame = pd.read_csv(DATA / "bike_hourly" / "hour.csv.gz")
    X = frame[["hr", "weekday", "workingday", "holiday", "weathersit", "temp", "hum", "windspeed"]].to_numpy(float)
    day = pd.factorize(frame["dteday"])[0]
    return X, frame["cnt"].to_numpy(float), (frame["yr"] * 12 + frame["mnth"] - 1).to_numpy(), day


def _electricity() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    frame = pd.read_csv(DATA / "elec2" / "elec.csv.gz")
    day = np.arange(len(frame)) // 48
    return frame.drop(columns="class").to_numpy(float), frame["class"].to_numpy(), day // 30, day


def _fitted(X: np.ndarray, y: np.ndarray, train: np.ndarray, later: np.ndarray) -> Predictions:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    of = RandomForestRegressor if y.dtype.kind == "f" else RandomForestClassifier
    model = of(n_estimators=10, min_samples_leaf=5, random_state=0).fit(X[train], y[train])
    return predict(model, X[later])  # type: ignore[arg-type]


def _mixed(one: Predictions, other: Predictions, swap: np.ndarray) -> Predictions:
    probability = None
    if one.probability is not None and other.probability is not None:
        probability = np.where(swap[:, None], other.probability, one.probability)
    return Predictions(np.where(swap, other.value, one.value), probability, one.classes)


if __name__ == "__main__":
    main()
