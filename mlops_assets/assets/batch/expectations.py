"""The expectations of a model: what Dagster shows as checks, and what a step runs."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from mlops_assets.assets.shared.keys import check_specs
from mlops_assets.checks import CheckOutcome
from mlops_assets.declaration import Declaration
from mlops_assets.disk_frame import LargeFrame
from mlops_assets.errors import ExpectationsError
from mlops_assets.lazy import pd
from mlops_assets.records.inferred_suites import inferred_expectations, inferred_suite, keep_inferred
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.rows import sampled_dataset
from mlops_assets.resources.great_expectations import GreatExpectations
from mlops_assets.resources.planned_checks import plan, planned_earlier
from mlops_assets.validation.suites import Expectation, from_objects, infer, load_suite

SUITE_IN_FORCE = "suite_in_force"
_ONE_CHECK = "expectations"
_INFER_FROM = 3


@dataclass(frozen=True)
class Suite:
    """The checks that the code server planned, and the expectations that are in force when a step runs.

    A run's process must have the checks of the server that planned the run, though the suite may have changed since.
    Each name in `planned` keeps its check; all other expectations share one. `known` are the expectations as this
    process loaded them. Expectations that the function `resolve` returns are known only in a step, and share one check.
    """

    model: Declaration
    known: tuple[Expectation, ...] = ()
    planned: tuple[str, ...] = ()
    resolve: Callable[[], Any] | None = None

    @property
    def version(self) -> str:
        """Return 12 hex digits that change with the expectations."""
        known = json.dumps([asdict(expectation) for expectation in self.known], sort_keys=True, default=str)
        return hashlib.sha256(known.encode()).hexdigest()[:12]

    @property
    def check_specs(self) -> list[dg.AssetCheckSpec]:
        """Return the checks that the suite has in Dagster."""
        if self.model.expectations is None:
            return []
        if self.resolve is not None:
            return self._specs(_ONE_CHECK, "Great Expectations that the declaration's function returns.")
        known = {expectation.check_name: expectation for expectation in self.known}
        specs = [spec for name in self.planned for spec in self._planned_specs(name, known.get(name))]
        new = "Expectations that came into the suite after the code location was loaded."
        return [*specs, *self._specs(SUITE_IN_FORCE, new)]

    def _planned_specs(self, name: str, expectation: Expectation | None) -> list[dg.AssetCheckSpec]:
        if expectation is None:
            return self._specs(name, "Great Expectations: no longer in the suite.", blocking=False)
        arguments = ", ".join(f"{name}={value!r}" for name, value in expectation.kwargs.items())
        return self._specs(name, f"Great Expectations: {expectation.type}({arguments})", expectation.blocking)

    def _specs(self, name: str, description: str, blocking: bool = True) -> list[dg.AssetCheckSpec]:
        return check_specs(self.model.name, "dataset", {name: description}, blocking=blocking)

    def validate(
        self, frame: pd.DataFrame | LargeFrame, expectations: GreatExpectations, records: ModelRecords
    ) -> list[CheckOutcome]:
        """Return one outcome for each check of the suite, by the current expectations.

        A suite that cannot be read, or that Great Expectations refuses, fails: the batch is not judged.
        """
        if self.model.expectations is None:
            return []
        shared = _ONE_CHECK if self.resolve is not None else SUITE_IN_FORCE
        try:
            current = from_objects(self.resolve()) if self.resolve is not None else self.in_force(records)
            outcomes = expectations.validate(frame, current)
        except ExpectationsError as error:
            return [CheckOutcome(shared, False, f"the suite cannot be used: {error}")]
        if self.resolve is not None:
            return [_folded(_ONE_CHECK, outcomes)]
        by_name = {outcome.name: outcome for outcome in outcomes}
        added = [outcome for outcome in outcomes if outcome.name not in self.planned]
        return [*(by_name.get(name) or _removed(name) for name in self.planned), _added(added)]

    def in_force(self, records: ModelRecords) -> tuple[Expectation, ...]:
        """Return the expectations of the file or objects; without a file those that were inferred."""
        path = self.model.suite_path()
        return _read(self.model) if path is None or path.exists() else inferred_expectations(records)

    def infer(self, records: ModelRecords, log: logging.Logger) -> None:
        """Infer the suite if there is neither a file nor an inferred suite and enough batches are accepted.

        It is inferred again once a batch that it was inferred from has other rows.
        """
        path = self.model.suite_path()
        if path is None or path.exists():
            return
        inferred, known = inferred_suite(records), records.batches.records()
        if inferred is None or any(
            batch not in known or known[batch].version != version for batch, version in inferred.batches.items()
        ):
            self._infer(path, records, log)

    def infer_anew(self, records: ModelRecords, log: logging.Logger) -> str:
        """Infer the suite from the accepted batches unless there is a file; return what was done, for people."""
        path = self.model.suite_path()
        if path is None:
            return "there is no suite to infer"
        if path.exists():
            return f"{path} stays as it is and is in force; remove it to have the suite inferred"
        number = self._infer(path, records, log)
        return f"{number} expectations are inferred anew" if number else "it is inferred once 3 batches are accepted"

    def _infer(self, path: Path, records: ModelRecords, log: logging.Logger) -> int:
        """Keep the inferred expectations and return their number; 0 if too few batches are accepted."""
        accepted = [record for record in records.batches.all() if record.status == "accepted"]
        if len(accepted) < _INFER_FROM:
            return 0
        model = self.model
        # A dropped column may hold anything in a later batch.
        dropped = [name for name in model.drop if name not in (*model.key, model.time)]
        frames = [sampled_dataset(records, record) for record in accepted]
        frames = [frame.drop(columns=dropped, errors="ignore") for frame in frames]
        inferred = infer(
            frames,
            target=model.target,
            key=model.key,
            time=model.time,
            optional=model.optional,
            sizes=[record.rows for record in accepted],
        )
        keep_inferred(records, inferred, {record.batch: str(record.version) for record in accepted})
        log.info(
            f"{model.name}: inferred {len(inferred)} expectations, which judge the next batch together. To edit them, "
            f"write them to {path} by `mlops-assets suite export {model.name}`: that file is then in force, and once "
            "the code location is reloaded each expectation has a check of its own"
        )
        return len(inferred)


def suite_of(model: Declaration) -> Suite:
    """Return the suite of a model, read from its file or objects; a function is kept for the step.

    Raise `ExpectationsError` if the suite cannot be read; a process that runs a server's plan reports it for its batch.
    """
    if model.expectations is None:
        return Suite(model)
    if callable(model.expectations):
        return Suite(model, resolve=model.expectations)
    planned = planned_earlier(model.name)
    try:
        known = _read(model)
    except ExpectationsError:
        if planned is None:
            raise
        known = ()
    if planned is None:
        planned = plan(model.name, [expectation.check_name for expectation in known])
    return Suite(model, known, planned)


def _read(model: Declaration) -> tuple[Expectation, ...]:
    """Return the current expectations of a file or of GX objects; () if the file does not exist yet."""
    path = model.suite_path()
    if path is None:
        return from_objects(model.expectations)
    try:
        return load_suite(path) if path.exists() else ()
    except OSError as error:
        raise ExpectationsError(f"{path}: cannot be read: {error.strerror}.") from error


def _removed(name: str) -> CheckOutcome:
    message = "no longer in the suite: nothing is checked; reload the code location to take this check away"
    return CheckOutcome(name, True, message, blocking=False)


def _added(outcomes: list[CheckOutcome]) -> CheckOutcome:
    if not outcomes:
        return CheckOutcome(SUITE_IN_FORCE, True, "each expectation of the suite has a check of its own")
    return _folded(SUITE_IN_FORCE, outcomes)


def _folded(name: str, outcomes: list[CheckOutcome]) -> CheckOutcome:
    """Return all outcomes of a suite as one, with a table of them."""
    failed = [outcome for outcome in outcomes if not outcome.passed]
    stops = any(outcome.stops for outcome in outcomes)
    message = "; ".join(outcome.message for outcome in failed) or f"all {len(outcomes)} expectations hold"
    rows = [
        {"expectation": outcome.name, "passed": outcome.passed, "severity": outcome.severity, "result": outcome.message}
        for outcome in outcomes
    ]
    return CheckOutcome(
        name,
        not failed,
        message,
        severity="error" if stops or not failed else "warn",
        blocking=True,
        metadata={"table": rows},
    )
