"""`policy_backtest`: replays the model's past under rules of retraining and shows which would have been best."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg
from pydantic import Field

from mlops_assets.assets.backtest.stored_history import StoredHistory
from mlops_assets.assets.shared.drawing import drawn_plots
from mlops_assets.assets.shared.keys import KIND, MODEL, asset_key, model_asset
from mlops_assets.assets.shared.metadata import metadata, table
from mlops_assets.dagster_private import cron_string_iterator
from mlops_assets.decisions.retraining.backtest import Arrival, Backtest, Contender, PolicyResult, backtest, useful_life
from mlops_assets.decisions.retraining.candidates import (
    Candidate,
    candidates,
    default_price,
    python_snippet,
    total,
    winner,
    yaml_snippet,
)
from mlops_assets.declaration import Declaration
from mlops_assets.declaration.options import Retraining
from mlops_assets.errors import MlopsAssetsError
from mlops_assets.modelling.fitting.parameter_names import full_name
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
from mlops_assets.text import listed

if TYPE_CHECKING:
    from datetime import datetime


TOLERANCE = 0.05
"""A model's useful life ends when it is this much worse than a new one."""

_PLOTTED = ("never", "every batch", "declared", "every batch, taken")


class BacktestConfig(dg.Config):
    """What is replayed, and what a retraining is worth."""

    price: float = Field(
        0.0,
        ge=0,
        description="What a retraining costs, in units of the first metric of one batch: at 2.0 it pays when it lowers "
        "the error by 0.5 over four batches. 0 takes a tenth of a batch's error: 1% over ten batches.",
    )
    search: Literal["off", "once"] = Field(
        "off",
        description="off: every model has the champion's parameters, without a champion the declared ones. once: "
        "those of the declared search, made once on the oldest training set.",
    )
    policies: list[str] = Field([], description="Names of the policies to replay, as in the table; empty for all.")
    newest: int = Field(0, ge=0, description="Score only so many of the newest batches; 0 for all.")


@dataclass(frozen=True)
class Recommended:
    """A back-test, the policy that is best at `price`, its rule, and the name of the loss."""

    backtest: "Backtest"
    winner: "PolicyResult"
    rule: Retraining
    price: float
    measure: str

    @property
    def settings(self) -> dict[str, Any]:
        """Return the fields of the rule that are not at their default."""
        return self.rule.model_dump(exclude_defaults=True)

    @property
    def sentence(self) -> str:
        """Return the result in a sentence."""
        found, never = self.winner, self.backtest.results[0]
        best = self.backtest.oracle
        return (
            f"{found.name}: mean {self.measure} {found.mean:.4g} over {len(found.losses)} batches with "
            f"{found.retrainings} retrainings ({found.promotions} promoted); {never.name} {never.mean:.4g} with "
            f"{never.retrainings}, the best in hindsight {best.mean:.4g}. A retraining costs {self.price:.3g}"
        )

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each policy, the cheapest first, the oracle last."""

        ordered = sorted(self.backtest.results, key=lambda each: total(each, self.price))
        return [
            {
                "policy": each.name + (" (chosen)" if each.name == self.winner.name else ""),
                self.measure: each.mean,
                "retrainings": each.retrainings,
                "promotions": each.promotions,
                "regret": each.regret,
                "total": total(each, self.price),
                "seconds": each.seconds,
            }
            for each in [*ordered, self.backtest.oracle]
        ]


def policy_backtest_asset(model: Declaration) -> dg.AssetsDefinition:
    """Return the asset `policy_backtest`: a back-test of rules of retraining; it changes nothing."""

    @model_asset(
        model,
        "policy_backtest",
        kinds={"scikitlearn"},
        code_version="1",
        deps=[asset_key(model.name, "features")],
        description=f"What retraining {model.name} by other rules would have given on its own past. It changes "
        "nothing: the declaration that it shows is for a person to paste. Launch "
        f"{model.name}_backtest, or materialise it.",
    )
    def policy_backtest(
        context: dg.AssetExecutionContext,
        config: BacktestConfig,
        mlops_storage: Storage,
        mlflow_registry: MlflowRegistry,
    ) -> dg.MaterializeResult[Any]:
        records = ModelRecords(model, mlops_storage)
        tuned = {} if config.search == "once" else _champion_params(records, mlflow_registry)
        found = recommend(records, config, tuned, context.log.info)
        context.log.info(f"{model.name}: {found.sentence}")
        return dg.MaterializeResult(metadata=_metadata(found))

    return policy_backtest


def backtest_job(model: Declaration) -> Any:
    """Return the job `<model>_backtest`, with its launchpad filled in."""
    asked = {"price": 0.0, "search": "off", "policies": [], "newest": 0}
    return dg.define_asset_job(
        f"{model.name}_backtest",
        selection=dg.AssetSelection.assets(asset_key(model.name, "policy_backtest")),
        config={"ops": {f"{model.name}__policy_backtest": {"config": asked}}},
        executor_def=dg.in_process_executor,
        tags={MODEL: model.name, KIND: "backtest"},
        description=f"Replays the past of {model.name} under other rules of retraining and shows which is best. "
        "Nothing is changed.",
    )


def recommend(
    records: ModelRecords,
    config: BacktestConfig,
    tuned: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Recommended:
    """Replay the stored batches of a model and choose; `tuned` are parameters as in `Pipeline.set_params`."""

    model = records.model
    history = StoredHistory(records, tuned, say)
    start = history.first(config.newest)
    if config.search == "once" and model.search is not None:
        found = history.searched(start)
        history = StoredHistory(records, params_of(found.model, model.search.space), say)
    arrivals = history.arrivals[start + 1 :]
    declared = model.retraining.model_dump()
    rows = int(median(each.rows for each in arrivals))
    known = candidates(declared, len(arrivals), rows, _days(arrivals) if model.time else None)
    rules = {each.name: _rule(model.retraining, each.changes) for each in known}
    wanted = _wanted(known, rules, config.policies)
    result = backtest(history, [_contender(each, rules[each.name], arrivals) for each in wanted], start)
    price = config.price or default_price(result.results)
    best = winner(result.results, price)
    name = history.metric.name
    least = "0" if name.startswith("neg_") else "1"
    measure = f"{least} - {name}" if history.metric.greater_is_better else name
    return Recommended(result, best, rules[best.name], price, measure)


def params_of(fitted: Any, names: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of searched parameters in a fitted Pipeline, named as in `Pipeline.set_params`."""

    known, full = fitted.get_params(deep=True), [full_name(name, fitted) for name in names]
    return {name: known[name] for name in full if name in known}


def _champion_params(records: ModelRecords, registry: MlflowRegistry) -> dict[str, Any]:
    """Return the champion's searched parameters, which come from later rows than most of the replayed ones."""
    model = records.model
    champion = records.champion if model.search is not None else None
    if champion is None or model.search is None:
        return {}
    return params_of(registry.load(champion, model.serialization, model.trusted_types), model.search.space)


def _days(arrivals: "Sequence[Arrival]") -> float:
    """Return the median days between two batches."""
    gaps = [(later.time - earlier.time).total_seconds() for earlier, later in pairwise(arrivals)]
    return median(gaps) / 86_400 if gaps else 1.0


def _rule(declared: Retraining, changes: Mapping[str, Any]) -> Retraining:
    return Retraining(**{**declared.model_dump(), **changes})


def _wanted(known: "Sequence[Candidate]", rules: Mapping[str, Retraining], names: Sequence[str]) -> "list[Candidate]":
    """Return the candidates asked for, and in any case never retraining, without candidates equal to an earlier one."""
    if unknown := sorted(set(names) - {each.name for each in known}):
        raise MlopsAssetsError(
            f"policies {listed(unknown)} are not known; expected some of {listed((each.name for each in known), 30)}"
        )
    kept: list[Candidate] = []
    for each in known:
        asked = not names or each.name in (*names, "never")
        if asked and not any((rules[each.name], each.taken) == (rules[other.name], other.taken) for other in kept):
            kept.append(each)
    return kept


def _contender(trial: "Candidate", rule: Retraining, arrivals: "Sequence[Arrival]") -> "Contender":

    ticks = _ticks(rule, arrivals[0].time, arrivals[-1].time) if rule.cron else ()
    return Contender(trial.name, rule, ticks, trial.taken)


def _ticks(rule: Retraining, since: "datetime", until: "datetime") -> "tuple[datetime, ...]":
    moments = cron_string_iterator(since.timestamp(), str(rule.cron), rule.timezone)
    return tuple(takewhile(lambda moment: moment < until, moments))


def _metadata(found: Recommended) -> dict[str, Any]:

    least = winner(found.backtest.results, found.price, equal=0)
    life = useful_life(found.backtest.ages, TOLERANCE)
    settings = found.settings
    return {
        **metadata(
            {
                "winner": found.winner.name,
                "why": found.sentence,
                "winner_mean": found.winner.mean,
                "winner_retrainings": found.winner.retrainings,
                "useful_life_batches": life if life is not None else f"longer than {len(found.backtest.ages)}",
                "price": found.price,
                "least_total": f"{least.name}: mean {least.mean:.4g}, {least.retrainings} retrainings",
            }
        ),
        "python": dg.MetadataValue.md(f"```python\n{python_snippet(settings)}\n```"),
        "yaml": dg.MetadataValue.md(f"```yaml\n{yaml_snippet(settings)}\n```"),
        "policies": table(found.rows()),
        **_plots(found),
        "ages": table(vars(each) for each in found.backtest.ages),
        "decisions": table(_decisions(found.winner)),
    }


def _decisions(result: "PolicyResult") -> list[dict[str, Any]]:
    """Return the retrainings that a policy would have asked for."""
    return [
        {"after": each.after, "asked by": ", ".join(each.triggers), "promoted": each.promoted}
        for each in result.trainings
    ]


def _plots(found: Recommended) -> dict[str, Any]:
    from mlops_assets.modelling.plots.policy_plots import age_curve, cost_and_quality, quality_over_time

    results, oracle = found.backtest.results, found.backtest.oracle
    lines = {each.name: each.losses for each in results if each.name in (*_PLOTTED, found.winner.name)}
    points = [(each.name, each.retrainings, each.mean) for each in results if not each.taken]
    ages = found.backtest.ages
    plots: dict[str, Callable[[], bytes]] = {
        "quality_over_time": lambda: quality_over_time(
            found.backtest.batches, {**lines, oracle.name: oracle.losses}, found.measure
        ),
        "cost_and_quality": lambda: cost_and_quality(points, found.winner.name, oracle.mean, found.measure),
    }
    if ages:
        plots["age"] = lambda: age_curve([each.age for each in ages], [each.ratio for each in ages], TOLERANCE)
    return drawn_plots(plots)
