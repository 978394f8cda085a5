"""`policy_backtest`: replays the model's past under rules of retraining and shows which would have been best."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise, takewhile
from statistics import median
from typing import Any, Literal

import dagster as dg
from pydantic import Field

from mlops_assets.assets.backtest.stored_history import StoredHistory
from mlops_assets.assets.shared.asset_job import asset_job
from mlops_assets.assets.shared.drawing import drawn_plots
from mlops_assets.assets.shared.engine import AT_ONCE, Used, engine_of, resource_keys, workers_of
from mlops_assets.assets.shared.keys import asset_key
from mlops_assets.assets.shared.metadata import metadata, table
from mlops_assets.assets.shared.model_asset import Asset, model_asset
from mlops_assets.dagster_private import NearAssetsJob, cron_string_iterator
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
from mlops_assets.modelling.engine import Engine
from mlops_assets.modelling.fitting.parameter_names import full_name
from mlops_assets.modelling.plots.policy_plots import age_curve, cost_and_quality, quality_over_time
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
from mlops_assets.text import listed

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


@dataclass(frozen=True, kw_only=True)
class Recommended:
    """A back-test, the policy that is best at `price`, its rule, and the name of the loss."""

    backtest: Backtest
    winner: PolicyResult
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
        best, oracle, never = self.winner, self.backtest.oracle, self.backtest.results[0]
        return (
            f"{best.name}: mean {self.measure} {best.mean:.4g} over {len(best.losses)} batches with "
            f"{best.retrainings} retrainings ({best.promotions} promoted); {never.name} {never.mean:.4g} with "
            f"{never.retrainings}, the best in hindsight {oracle.mean:.4g}. A retraining costs {self.price:.3g}"
        )

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each policy, the cheapest first, the oracle last."""
        ordered = sorted(self.backtest.results, key=lambda result: total(result, self.price))
        return [
            {
                "policy": result.name + (" (chosen)" if result.name == self.winner.name else ""),
                self.measure: result.mean,
                "retrainings": result.retrainings,
                "promotions": result.promotions,
                "regret": result.regret,
                "total": total(result, self.price),
                "seconds": result.seconds,
            }
            for result in [*ordered, self.backtest.oracle]
        ]


def policy_backtest_asset(model: Declaration) -> Asset:
    """Return the asset `policy_backtest`: a back-test of rules of retraining; it changes nothing."""

    @model_asset(
        model,
        "policy_backtest",
        kinds={"scikitlearn"},
        code_version="1",
        required_resource_keys=resource_keys(model, "mlops_storage", "mlflow_registry"),
        deps=[asset_key(model.name, "features")],
        description=f"What retraining {model.name} by other rules would have given on its own past. It changes "
        "nothing: the declaration that it shows is for a person to paste. Launch "
        f"{model.name}_backtest, or materialise it.",
    )
    def policy_backtest(
        context: dg.AssetExecutionContext,
        config: BacktestConfig,
    ) -> dg.MaterializeResult[Any]:
        mlops_storage: Storage = context.resources.mlops_storage
        mlflow_registry: MlflowRegistry = context.resources.mlflow_registry
        records = ModelRecords(model, mlops_storage)
        tuned = {} if config.search == "once" else _champion_params(records, mlflow_registry)
        used = Used()
        with engine_of(model, context, used) as engine:
            recommended = recommend(records, config, tuned, context.log.info, engine)
        context.log.info(f"{model.name}: {recommended.sentence}")
        return dg.MaterializeResult(metadata={**_metadata(recommended), **metadata(used.metadata())})

    return policy_backtest


def backtest_job(model: Declaration) -> NearAssetsJob:
    """Return the job `<model>_backtest`, with its launchpad filled in."""
    return asset_job(
        model.name,
        "backtest",
        "policy_backtest",
        config={"policy_backtest": BacktestConfig.model_validate({}).model_dump()},
        description=f"Replays the past of {model.name} under other rules of retraining and shows which is best. "
        "Nothing is changed.",
    )


def recommend(
    records: ModelRecords,
    config: BacktestConfig,
    tuned: Mapping[str, Any] | None = None,
    log: Callable[[str], None] = lambda _: None,
    engine: Engine | None = None,
) -> Recommended:
    """Replay the stored batches of a model and choose; `tuned` are parameters as in `Pipeline.set_params`."""
    model = records.model
    history = StoredHistory(records, tuned, log)
    start = history.first(config.newest)
    if config.search == "once" and model.search is not None:
        fitted = history.searched(start, engine, 1 if workers_of(model) is None else AT_ONCE).model
        history = StoredHistory(records, _params_of(fitted, model.search.space), log)
    if engine is not None and engine.one_thread:
        history.fit_ahead(start, engine)
    arrivals = history.arrivals[start + 1 :]
    rows = int(median(arrival.rows for arrival in arrivals))
    days = _days(arrivals) if model.time else None
    declared = model.retraining.model_dump()
    known = candidates(declared, len(arrivals), rows, days)
    rules = {candidate.name: Retraining(**{**declared, **candidate.changes}) for candidate in known}
    selected = _selected(known, rules, config.policies)
    contenders = [_contender(candidate, rules[candidate.name], arrivals) for candidate in selected]
    result = backtest(history, contenders, start)
    price = config.price or default_price(result.results)
    best = winner(result.results, price)
    name = history.metric.name
    least = "0" if name.startswith("neg_") else "1"
    measure = f"{least} - {name}" if history.metric.greater_is_better else name
    return Recommended(backtest=result, winner=best, rule=rules[best.name], price=price, measure=measure)


def _params_of(fitted: Any, names: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of searched parameters in a fitted Pipeline, named as in `Pipeline.set_params`."""
    known, full_names = fitted.get_params(deep=True), [full_name(name, fitted) for name in names]
    return {name: known[name] for name in full_names if name in known}


def _champion_params(records: ModelRecords, registry: MlflowRegistry) -> dict[str, Any]:
    """Return the champion's searched parameters, which come from later rows than most of the replayed ones."""
    model = records.model
    champion = records.champion if model.search is not None else None
    if champion is None or model.search is None:
        return {}
    return _params_of(registry.load(champion, model.serialization, model.trusted_types), model.search.space)


def _days(arrivals: Sequence[Arrival]) -> float:
    """Return the median days between two batches."""
    gaps = [(later.time - earlier.time).total_seconds() for earlier, later in pairwise(arrivals)]
    return median(gaps) / 86_400 if gaps else 1.0


def _selected(known: Sequence[Candidate], rules: Mapping[str, Retraining], names: Sequence[str]) -> list[Candidate]:
    """Return the candidates asked for, and in any case never retraining, without candidates equal to an earlier one."""
    policies = [candidate.name for candidate in known]
    if unknown := sorted(set(names).difference(policies)):
        raise MlopsAssetsError(f"policies {listed(unknown)} are not known; expected some of {listed(policies, 30)}")
    selected = [candidate for candidate in known if not names or candidate.name in (*names, "never")]
    effects = [(rules[candidate.name], candidate.taken) for candidate in selected]
    return [candidate for place, candidate in enumerate(selected) if effects.index(effects[place]) == place]


def _contender(candidate: Candidate, rule: Retraining, arrivals: Sequence[Arrival]) -> Contender:
    """Return the candidate with the moments of its cron between the first and the last batch."""
    ticks: Iterable[datetime] = ()
    if rule.cron:
        moments = cron_string_iterator(arrivals[0].time.timestamp(), rule.cron, rule.timezone)
        ticks = takewhile(lambda moment: moment < arrivals[-1].time, moments)
    return Contender(candidate.name, rule, tuple(ticks), candidate.taken)


def _metadata(recommended: Recommended) -> dict[str, Any]:
    least = winner(recommended.backtest.results, recommended.price, equal=0)
    ages, settings = recommended.backtest.ages, recommended.settings
    life = useful_life(ages, TOLERANCE)
    return {
        **metadata(
            {
                "winner": recommended.winner.name,
                "why": recommended.sentence,
                "winner_mean": recommended.winner.mean,
                "winner_retrainings": recommended.winner.retrainings,
                "useful_life_batches": life if life is not None else f"longer than {len(ages)}",
                "price": recommended.price,
                "least_total": f"{least.name}: mean {least.mean:.4g}, {least.retrainings} retrainings",
            }
        ),
        "python": dg.MetadataValue.md(f"```python\n{python_snippet(settings)}\n```"),
        "yaml": dg.MetadataValue.md(f"```yaml\n{yaml_snippet(settings)}\n```"),
        "policies": table(recommended.rows()),
        **_plots(recommended),
        "ages": table(vars(age) for age in ages),
        "decisions": table(
            {"after": training.after, "asked by": ", ".join(training.triggers), "promoted": training.promoted}
            for training in recommended.winner.trainings
        ),
    }


def _plots(recommended: Recommended) -> dict[str, Any]:
    results, oracle = recommended.backtest.results, recommended.backtest.oracle
    lines = {result.name: result.losses for result in results if result.name in (*_PLOTTED, recommended.winner.name)}
    points = [(result.name, result.retrainings, result.mean) for result in results if not result.taken]
    ages = recommended.backtest.ages
    plots: dict[str, Callable[[], bytes]] = {
        "quality_over_time": lambda: quality_over_time(
            recommended.backtest.batches, {**lines, oracle.name: oracle.losses}, recommended.measure
        ),
        "cost_and_quality": lambda: cost_and_quality(points, recommended.winner.name, oracle.mean, recommended.measure),
    }
    if ages:
        plots["age"] = lambda: age_curve([age.age for age in ages], [age.ratio for age in ages], TOLERANCE)
    return drawn_plots(plots)
