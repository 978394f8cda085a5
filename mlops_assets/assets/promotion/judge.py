"""The verdict on a version: every gate and the comparison with the champion, recomputed."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field, replace

from mlops_assets.assets.promotion.alias_state import Before
from mlops_assets.assets.shared.engine import Used, engine_of
from mlops_assets.assets.training.evaluation import champion_predictions
from mlops_assets.assets.training.gates import (
    BASELINE_GATES,
    CHALLENGER_GATES,
    QUALITY_GATES,
    Case,
    all_gates,
    open_case,
    trained_on,
)
from mlops_assets.assets.training.step import Step
from mlops_assets.assets.training.training_set import CHECKS as TRAINING_SET_GATES
from mlops_assets.checks import CheckOutcome
from mlops_assets.decisions.promotion.alias import Decision, decide
from mlops_assets.decisions.promotion.comparison import Verdict, compare
from mlops_assets.decisions.promotion.gates import all_pass
from mlops_assets.decisions.promotion.guards import Guard, apply_guards, guards
from mlops_assets.decisions.promotion.paired_difference import takes_long
from mlops_assets.lazy import np
from mlops_assets.modelling.engine import HERE
from mlops_assets.modelling.metrics import metric
from mlops_assets.modelling.metrics.intervals import rows_by_value
from mlops_assets.modelling.predictions import Predictions
from mlops_assets.records.promotions import How
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.text import shown

PACK = "mlops_assets"
"""Who decides if no person does."""

GATES = [*TRAINING_SET_GATES, *CHALLENGER_GATES, *BASELINE_GATES, *QUALITY_GATES]
"""Every gate that must pass before the alias moves; a missing gate counts as failed."""


@dataclass(frozen=True)
class Refit:
    """The result of a refit: its version, if there is one, its gates, and why it is not taken, or ""."""

    version: ModelVersion | None = None
    gates: tuple[CheckOutcome, ...] = ()
    refused: str = ""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A decision on a version with all its evidence; `how` says how the version becomes champion, if it does."""

    decision: Decision
    version: ModelVersion
    gates: tuple[CheckOutcome, ...] = ()
    comparison: Verdict | None = None
    guards: tuple[Guard, ...] = ()
    by: str = PACK
    refit: Refit | None = None
    how: How = "evidence"
    used: Used = field(default_factory=Used)

    @property
    def promoted(self) -> ModelVersion:
        """Return the version that the alias moves to, if it moves."""
        refit = self.refit
        return self.version if refit is None or refit.version is None or refit.refused else refit.version


def judge(step: Step, number: int, before: Before, approve: str = "") -> Judgement:
    """Judge a version against the champion; `approve` names the job by which a person approves, if one must."""
    version, champion = step.versions.version(number), before.champion
    rival = champion if before.state == "sound" else None
    if rival is not None and version.version in (rival.version, rival.refit_of):
        refitted = "" if rival.version == version.version else f", refitted as version {rival.version}"
        decision = Decision("keep", False, f"version {number} is the champion already{refitted}")
        return Judgement(decision=decision, version=version)
    case = open_case(step.records, step.registry, version)
    gates = tuple(all_gates(case))
    predictions, cannot_compare = (None, "") if rival is None else _rival_predictions(step, case, rival)
    used = Used()
    comparison, guards = (None, ()) if predictions is None else _compare(step, case, predictions, used)
    hold = "" if before.hold is None else str(before.hold)
    decision = decide(together(gates), before.state, hold, comparison, cannot_compare, approve)
    if case.holdout.sample:
        decision = replace(decision, reason=f"{decision.reason}; judged on {case.holdout.sample}")
    return Judgement(
        decision=decision,
        version=version,
        gates=gates,
        comparison=comparison,
        guards=guards,
        used=used,
        how="first" if before.state == "none" else "evidence",
    )


def gates_of(step: Step, version: ModelVersion) -> tuple[CheckOutcome, ...]:
    """Return every gate of a version, without the comparison."""
    return tuple(all_gates(open_case(step.records, step.registry, version)))


def together(gates: tuple[CheckOutcome, ...]) -> CheckOutcome:
    """Return the outcome of all gates as one."""
    return all_pass(GATES, gates)


def _rival_predictions(step: Step, case: Case, champion: ModelVersion) -> tuple[Predictions | None, str]:
    """Return the champion's predictions for the holdout, or why it cannot be compared there."""
    if known := trained_on(step.records, champion, case.manifest):
        return None, f"champion version {champion.version} was trained on {known[0]!r} of this holdout: train again"
    return champion_predictions(case, champion, step.registry)


def _compare(step: Step, case: Case, champion: Predictions, used: Used) -> tuple[Verdict, tuple[Guard, ...]]:
    """Return the comparison in the first metric, and the guards that a better challenger must not break."""
    model, first, y = case.model, case.metrics[0], case.holdout.y.to_numpy()
    rules, groups = model.gates, case.holdout.about[model.group].to_numpy() if model.group else None
    alpha = 1 - rules.confidence
    guarded = [(metric(name), tolerance) for name, tolerance in rules.guards.items()]
    takes_an_engine = any(takes_long(each, len(y)) for each in (first, *(each for each, _ in guarded)))
    with engine_of(model, step.context, used) if takes_an_engine else nullcontext(HERE) as engine:
        verdict = compare(
            *(y, champion, case.predictions, first, rules.min_gain, alpha),
            seed=model.seed,
            groups=groups,
            no_worse_by=rules.no_worse_by,
            engine=engine,
        )
        results = guards(
            *(y, champion, case.predictions),
            metrics=guarded,
            slices=_slices(case) if rules.guard_slices else {},
            slice_metric=first,
            slice_tolerance=max(rules.slice_tolerance, rules.no_worse_by or 0.0),
            alpha=alpha,
            seed=model.seed,
            groups=groups,
            engine=engine,
        )
    return apply_guards(verdict, results), results


def _slices(case: Case) -> dict[str, np.ndarray]:
    """Return the row positions of each slice of the holdout."""
    return {
        f"{column} = {shown(value)}": rows
        for column in case.model.slices
        for value, rows in rows_by_value(case.holdout.about[column])
    }
