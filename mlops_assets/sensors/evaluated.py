"""Evaluations of a check, without Dagster's records of planned evaluations."""

from collections.abc import Sequence

import dagster as dg

from mlops_assets.dagster_private import check_evaluations

_RECENT = 5


def evaluations(instance: dg.DagsterInstance, key: dg.AssetCheckKey, most: int) -> Sequence[dg.EventLogEntry]:
    """Return the newest evaluations of a check, newest first.

    A run that does not reach a check, or dies there, leaves a planned record in front of the last evaluation. A run
    that reaches the check fills in its planned record, so that the ids are not in order of time.
    """
    events = [record.event for record in check_evaluations(instance, key, most)]
    evaluated = [event for event in events if event is not None and event.asset_check_evaluation]
    return sorted(evaluated, key=lambda event: event.timestamp, reverse=True)


def newest_passed(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> bool | None:
    """Return whether the newest evaluation of a check passed, None if there is no evaluation."""
    newest = (event.asset_check_evaluation for event in evaluations(instance, key, most=_RECENT))
    return next((evaluation.passed for evaluation in newest if evaluation is not None), None)
