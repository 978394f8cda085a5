"""The expectations of a model: what Dagster shows as checks, and what a step runs."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_assets.checks import CheckOutcome
from mlops_assets.declaration import Declaration
from mlops_assets.resources.batch_ledger import BatchLedger
from mlops_assets.resources.great_expectations import GreatExpectations
from mlops_assets.resources.storage import Storage
from mlops_assets.validation.suites import Expectation, from_objects, infer, load_suite, write_suite

if TYPE_CHECKING:
    import logging

    import pandas as pd

_ONE_CHECK = "expectations"
_INFER_FROM = 3


@dataclass(frozen=True)
class Suite:
    """Expectations known when the code location loads have a check each; those known only in a step share one."""

    model: Declaration
    known: tuple[Expectation, ...] = ()
    resolve: Callable[[], Any] | None = None

    @property
    def version(self) -> str:
        """12 hex digits that change with the expectations."""
        known = json.dumps([asdict(expectation) for expectation in self.known], sort_keys=True, default=str)
        return hashlib.sha256(known.encode()).hexdigest()[:12]

    @property
    def checks(self) -> list[tuple[str, str, bool]]:
        """Name, description and blocking of each check that the suite has in Dagster."""
        if self.resolve is not None:
            return [(_ONE_CHECK, "Great Expectations that the declaration's function returns.", True)]
        return [(each.check_name, f"Great Expectations: {_call(each)}", each.blocking) for each in self.known]

    def validate(self, frame: "pd.DataFrame", expectations: GreatExpectations) -> list[CheckOutcome]:
        """One outcome for each check of the suite."""
        if self.resolve is not None:
            return [_folded(expectations.validate(frame, from_objects(self.resolve())))]
        return expectations.validate(frame, self.known) if self.known else []

    def infer(self, ledger: BatchLedger, storage: Storage, log: "logging.Logger") -> None:
        """Write the suite file, once, when it does not exist and enough batches were accepted."""
        path = self.model.suite_path()
        if path is None or path.exists():
            return
        accepted = [record for record in ledger.all() if record.status == "accepted"]
        if len(accepted) < _INFER_FROM:
            return
        name = self.model.name
        frames = [storage.read_frame(name, "dataset", record.batch, str(record.version)) for record in accepted]
        inferred = infer(frames, target=self.model.target, key=self.model.key, time=self.model.time)
        write_suite(path, name, inferred)
        log.info(f"{name}: wrote {len(inferred)} expectations to {path}; edit them, then reload the code location")


def suite_of(model: Declaration) -> Suite:
    """The suite of a model, read from its file or objects; a function is kept for the step."""
    declared, path = model.expectations, model.suite_path()
    if path is not None:
        return Suite(model, load_suite(Path(path)) if path.exists() else ())
    if declared is None:
        return Suite(model)
    if callable(declared):
        return Suite(model, resolve=declared)
    return Suite(model, from_objects(declared))


def _call(expectation: Expectation) -> str:
    arguments = ", ".join(f"{name}={value!r}" for name, value in expectation.kwargs.items())
    return f"{expectation.type}({arguments})"


def _folded(outcomes: list[CheckOutcome]) -> CheckOutcome:
    """All outcomes of a suite as one, with a table of them."""
    failed = [outcome for outcome in outcomes if not outcome.passed]
    stops = any(outcome.stops for outcome in outcomes)
    message = "; ".join(outcome.message for outcome in failed) or f"all {len(outcomes)} expectations hold"
    rows = [
        {"expectation": outcome.name, "passed": outcome.passed, "severity": outcome.severity, "result": outcome.message}
        for outcome in outcomes
    ]
    return CheckOutcome(
        _ONE_CHECK, not failed, message, "error" if stops or not failed else "warn", True, {"table": rows}
    )
