"""The verdict on a version: every gate and the comparison with the champion, computed anew."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_assets.assets.evaluations import champion_predictions
from mlops_assets.assets.judging import CHALLENGER_GATES, EVALUATION_GATES, Case, all_gates, open_case
from mlops_assets.assets.standing import Standing
from mlops_assets.assets.training_sets import CHECKS as TRAINING_SET_GATES
from mlops_assets.checks import CheckOutcome
from mlops_assets.decisions.promotion import Decision, decide
from mlops_assets.declaration import Declaration
from mlops_assets.resources.mlflow_registry import MlflowRegistry
from mlops_assets.resources.model_version import ModelVersion
from mlops_assets.resources.storage import Storage
from mlops_assets.resources.training_rows import read_manifest

if TYPE_CHECKING:
    from mlops_assets.decisions.comparison import Verdict

PACK = "mlops_assets"
"""Who decided where no person did."""

GATES = [*TRAINING_SET_GATES, *CHALLENGER_GATES, *EVALUATION_GATES]
"""Every gate that must have passed before the alias moves; one that is missing counts as failed."""


@dataclass(frozen=True)
class Judgement:
    """A decision on a version with all its evidence."""

    decision: Decision
    version: ModelVersion
    gates: tuple[CheckOutcome, ...] = ()
    comparison: "Verdict | None" = None
    by: str = PACK


def judge(
    model: Declaration, number: int, before: Standing, storage: Storage, registry: MlflowRegistry, approve: str = ""
) -> Judgement:
    """Judge a version against the champion; `approve` is the job by which a person approves, where one must."""
    version, champion = registry.version(model.name, number), before.in_force
    sound = champion if before.state == "sound" else None
    if sound is not None and sound.version == version.version:
        return Judgement(Decision("keep", False, f"version {number} is the champion already"), version)
    case = open_case(model, version, storage, registry)
    gates = tuple(all_gates(model, case))
    comparison, why_not = _compare(model, case, sound, storage, registry) if sound is not None else (None, "")
    decision = decide(together(gates), before.state, before.hold, comparison, why_not, approve)
    return Judgement(decision, version, gates, comparison)


def gates_of(
    model: Declaration, version: ModelVersion, storage: Storage, registry: MlflowRegistry
) -> tuple[CheckOutcome, ...]:
    """Every gate of a version, without the comparison."""
    return tuple(all_gates(model, open_case(model, version, storage, registry)))


def together(gates: tuple[CheckOutcome, ...]) -> CheckOutcome:
    """The outcome of all gates as one."""
    from mlops_assets.decisions.gates import all_pass

    return all_pass(GATES, gates)


def _compare(
    model: Declaration, case: Case, champion: ModelVersion, storage: Storage, registry: MlflowRegistry
) -> "tuple[Verdict | None, str]":
    from mlops_assets.decisions.comparison import compare

    trained = {batch.key for batch in read_manifest(storage, model.name, champion.tags["data_version"]).train}
    if seen := [batch.key for batch in case.manifest.holdout if batch.key in trained]:
        return None, f"champion version {champion.version} was trained on {seen[0]!r} of this holdout: train again"
    said, why_not = champion_predictions(model, champion, case, registry)
    if said is None:
        return None, why_not
    verdict = compare(
        case.holdout.y.to_numpy(),
        said,
        case.predictions,
        case.metrics[0],
        min_gain=model.gates.min_gain,
        alpha=1 - model.gates.confidence,
        seed=model.seed,
    )
    return verdict, ""
