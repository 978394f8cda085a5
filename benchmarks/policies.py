"""Rules of retraining, replayed on real data: what each would have given, what it would have cost, which is best.

    python benchmarks/policies.py bike_demand electricity hotel_cancellations

The batches of each example are stored as its assets store them, without a run, and replayed as the asset
`<model>/policy_backtest` does it. `--json FILE` writes the tables; `--price` is that of a retraining, see `winner`.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

REPOSITORY = Path(__file__).parents[1]
sys.path[:0] = [str(REPOSITORY)]

from mlops_assets.assets.backtest.policy_backtest import BacktestConfig, Recommended, recommend  # noqa: E402
from mlops_assets.assets.shared.keys import declared  # noqa: E402
from mlops_assets.declaration import Declaration  # noqa: E402
from mlops_assets.records.batches import BatchLedger, BatchRecord  # noqa: E402
from mlops_assets.records.model_records import ModelRecords  # noqa: E402
from mlops_assets.resources.storage import Storage  # noqa: E402

EXAMPLES = ("bike_demand", "electricity", "hotel_cancellations")


def main(argv: list[str] | None = None) -> int:
    """Replay each model and print its table, its age curve and the rule that is chosen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", choices=EXAMPLES)
    parser.add_argument("--price", type=float, default=0.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--verbose", action="store_true", help="tell each fit")
    arguments = parser.parse_args(argv)
    found = {}
    for name in arguments.models:
        begin = time.perf_counter()
        result = replayed(name, arguments.price, print if arguments.verbose else lambda _: None)
        print(told(name, result, time.perf_counter() - begin), flush=True)
        found[name] = {"winner": result.winner.name, "settings": result.settings, "rows": result.rows()}
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2))
    return 0


def replayed(name: str, price: float = 0.0, say: Any = print) -> Recommended:
    """The back-test of an example on all of its batches."""
    model = example(name)
    with tempfile.TemporaryDirectory() as home:
        storage = stored(model, Path(home))
        search = "once" if model.search is not None else "off"
        return recommend(ModelRecords(model, storage), BacktestConfig(price=price, search=search), log=say)


def example(name: str) -> Declaration:
    """The declaration of an example."""
    getattr(import_module(f"examples.{name}.model"), name)()
    return declared(name)


def stored(model: Declaration, home: Path) -> Storage:
    """All batches of the model's source with their features, as `dataset` and `features` store them."""
    from mlops_assets.modelling.features import compute
    from mlops_assets.sources.data_version import data_version
    from mlops_assets.validation.schema import normalise

    storage = Storage(root=str(home))
    ledger, history = BatchLedger(storage, model.name), pd.DataFrame()
    for batch in model.source.look(None).ready:
        frame = normalise(model.source.read(batch), None)
        if len(history):
            history = history[history[model.time] >= frame[model.time].min() - pd.Timedelta(model.lookback)]
        features = compute(model.features, frame, history if len(history) else frame.iloc[:0], model.not_features)
        rows, columns = data_version(frame), data_version(features)
        storage.write_frame(model.name, "dataset", batch, rows, frame)
        storage.write_frame(model.name, "features", batch, columns, features)
        start, end = (getattr(frame[model.time], end)().isoformat() for end in ("min", "max"))
        labelled = int(frame[model.target].notna().sum())
        record = BatchRecord(
            batch, "accepted", "", version=rows, rows=len(frame), labelled=labelled, start=start, end=end
        )
        ledger.put(replace(record, features=columns, features_code=model.features_version))
        history = pd.concat([history, frame], ignore_index=True) if model.lookback else history
    return storage


def told(name: str, result: Recommended, seconds: float) -> str:
    """The table and the recommendation as Markdown."""
    from mlops_assets.decisions.retraining.backtest import useful_life
    from mlops_assets.decisions.retraining.candidates import python_snippet

    rows = pd.DataFrame(result.rows()).round({result.measure: 4, "regret": 4, "total": 4, "seconds": 1})
    head = "| " + " | ".join(rows.columns) + " |\n|" + "---|" * len(rows.columns)
    lines = ["| " + " | ".join(str(value) for value in row) + " |" for row in rows.itertuples(index=False)]
    ages = ", ".join(f"{each.age}: {each.ratio:.2f}" for each in result.backtest.ages)
    life = useful_life(result.backtest.ages)
    return "\n".join(
        [
            f"\n### {name}: {len(result.backtest.batches)} batches, {seconds:.0f} s\n",
            head,
            *lines,
            f"\n{result.sentence}.",
            f"Loss by age in batches, fresh = 1: {ages}. Useful life: {life if life else 'longer than seen'}.",
            f"`{python_snippet(result.settings)}`",
        ]
    )


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "Agg")
    sys.exit(main())
