"""Where a decision starts: the promotions on record, and whether the alias in MLflow agrees with them."""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from mlops_assets.assets.training.step import Step
from mlops_assets.decisions.promotion.alias import AliasState, alias_state
from mlops_assets.errors import SupersededError
from mlops_assets.records.promotions import Promotion, former_champions
from mlops_assets.records.requests import Hold, WaitingVersion
from mlops_assets.resources.mlflow.model_version import ModelVersion


@dataclass(frozen=True, kw_only=True)
class Before:
    """What a decision starts from: all promotions (newest first), the state of the alias, and people's requests."""

    model: str
    promotions: Sequence[Promotion]
    state: AliasState
    hold: Hold | None
    waiting: WaitingVersion | None

    @property
    def champion(self) -> ModelVersion | None:
        """Return the version that batches are scored with."""
        done = next((promotion for promotion in self.promotions if promotion.done), None)
        return None if done is None else done.as_version(self.model)

    @property
    def former(self) -> list[Promotion]:
        """Return the champions before the present one, the newest first."""
        return former_champions(self.promotions)

    @property
    def last_number(self) -> int:
        """Return the number of the newest promotion."""
        return max((promotion.number for promotion in self.promotions), default=0)


def before_of(step: Step, had_champion: bool) -> Before:
    """Return where a decision starts; a promotion that a crash cut short is first ended as far as it came."""
    ledger, requests, model = step.records.promotions, step.records.requests, step.model.name
    alias, under_way = step.registry.champion(model), ledger.under_way()
    if under_way is not None:
        _end_cut_short(step, under_way, alias)
    promotions, state = ledger.all(), alias_state(alias, ledger.champion(), None, had_champion)
    return Before(model=model, promotions=promotions, state=state, hold=requests.hold(), waiting=requests.waiting())


def why_over(instance: dg.DagsterInstance, run_id: str) -> str:
    """Return why a run may not promote, "" for one that is in progress."""
    run = instance.get_run_by_id(run_id)
    if run is None:
        return f"its run {run_id[:8]} is not known to Dagster"
    if run.status == dg.DagsterRunStatus.STARTED:
        return ""
    return f"its run {run_id[:8]} is {run.status.value} in Dagster"


def may_not_promote(instance: dg.DagsterInstance, run_id: str) -> str:
    """Return why a run may not promote, as `why_over`; also where Dagster does not answer."""
    try:
        return why_over(instance, run_id)
    except Exception as error:  # of whatever database Dagster has
        return f"Dagster does not say whether its run {run_id[:8]} is in progress: {' '.join(str(error).split())[:200]}"


def _end_cut_short(step: Step, promotion: Promotion, alias: ModelVersion | None) -> None:
    """Record a promotion as done if the alias has moved, else as abandoned: its decision is judged anew."""
    number, run_id, ledger = promotion.number, promotion.dagster_run_id, step.records.promotions
    if run_id != step.context.run.run_id and not why_over(step.context.instance, run_id):
        raise SupersededError(
            f"{step.model.name}: promotion {number} of version {promotion.version} is under way in run {run_id[:8]}: "
            "wait for it to end"
        )
    if promotion.names(alias):
        ledger.finish(number)
        ending = "was finished"
    else:
        ledger.abandon(number)
        ending = "is abandoned: the alias had not moved"
    step.log(f"promotion {number}, cut short in run {run_id[:8]}, {ending}")
