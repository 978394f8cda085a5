"""Requests for runs of batches: within bounds, after earlier attempts, and only if the registry answers."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

import dagster as dg

from mlops_assets.assets.batch.outcomes import outcome_batches
from mlops_assets.assets.shared.keys import ATTEMPT, JUDGED_BY, KIND, MARK, MODEL, asset_key, batches
from mlops_assets.declaration import Declaration
from mlops_assets.sensors.new_data.attempts import LONGEST_DELAY_SECONDS, NEED, attempts, delay
from mlops_assets.sensors.new_data.cursor import MOST_TRIED, SourceMemory
from mlops_assets.sensors.new_data.work_list import Wanted
from mlops_assets.sensors.registry_probe import Probe
from mlops_assets.sensors.runs import NO_RETRIES, PARTITION, runs_under_way

MOST_PER_TICK = 10
"""The most runs of one model that a tick requests; runs under way count."""

MOST_LOOKED_UP = 50
"""The most batches of one model whose earlier runs a tick looks up."""

Kind = Literal["batch", "outcomes"]


@dataclass(kw_only=True)
class NewDataTick:
    """One tick of the sensor, and its requests and events so far; `unanswered` batches wait for the registry."""

    context: dg.SensorEvaluationContext
    probe: Probe
    requests: list[dg.RunRequest] = field(default_factory=list)
    additions: list[dg.AddDynamicPartitionsRequest] = field(default_factory=list)
    events: list[dg.AssetObservation] = field(default_factory=list)
    unanswered: int = 0
    now: float = field(default_factory=time.time)
    _running: dict[Kind, dict[str, list[dg.DagsterRun]]] = field(default_factory=dict)

    def running(self, kind: Kind, model: str) -> list[dg.DagsterRun]:
        """Return the runs of a kind under way for a model; one query for all models."""
        if kind not in self._running:
            self._running[kind] = runs_under_way(self.context.instance, kind)
        return self._running[kind].get(model, [])


def request_runs(
    model: Declaration, kind: Kind, wanted: Iterable[Wanted], memory: SourceMemory, tick: NewDataTick
) -> SourceMemory:
    """Request runs of the first batches that are due; return the memory with the next `tried` and `after`.

    A batch that waits for its next attempt, or for the registry, does not delay the batches behind it. If a tick
    looks up as many batches as it may, the next tick goes on behind them.
    """
    running = tick.running(kind, model.name)
    busy = {run.tags.get(PARTITION) for run in running}
    candidates = [candidate for candidate in wanted if candidate.batch not in busy]
    needs = {candidate.batch: candidate.need for candidate in candidates}
    tried = {batch: (need, due) for batch, (need, due) in memory.tried.items() if needs.get(batch) == need}
    requests: list[dg.RunRequest] = []
    looked_up, after = 0, ""
    for candidate in _beginning_with(memory.after, candidates):
        batch = candidate.batch
        if len(requests) >= MOST_PER_TICK - len(running):
            break
        if looked_up == MOST_LOOKED_UP:
            after = batch
            break
        if batch in tried and 0 < tried[batch][1] - tick.now <= LONGEST_DELAY_SECONDS:
            continue
        if candidate.registry and tick.probe.why_no_answer(model.name):
            tick.unanswered += 1
            continue
        looked_up += 1
        earlier = attempts(tick.context.instance, _tags(model.name, kind, candidate))
        if earlier.due(tick.now):
            requests.append(_request(model.name, kind, candidate, earlier.count + 1))
            tried.pop(batch, None)
        elif len(tried) < MOST_TRIED:
            tried[batch] = (candidate.need, round(earlier.ended + delay(earlier.count)))
    if requests:
        partitions = outcome_batches(model.name) if kind == "outcomes" else batches(model.name)
        tick.additions.append(partitions.build_add_request([str(request.partition_key) for request in requests]))
        tick.requests += requests
    return replace(memory, tried=dict(list(tried.items())[:MOST_TRIED]), after=after)


def _beginning_with(batch: str, candidates: list[Wanted]) -> list[Wanted]:
    first = next((index for index, candidate in enumerate(candidates) if candidate.batch == batch), 0)
    return candidates[first:] + candidates[:first]


def _request(model: str, kind: Kind, wanted: Wanted, attempt: int) -> dg.RunRequest:
    tags = {**_tags(model, kind, wanted), MARK: wanted.mark, ATTEMPT: str(attempt), **NO_RETRIES}
    return dg.RunRequest(
        run_key=f"{model}/{kind}/{wanted.batch}/{wanted.need}/{attempt}",
        partition_key=wanted.batch,
        asset_selection=[asset_key(model, asset) for asset in wanted.assets],
        tags={**tags, JUDGED_BY: wanted.judges} if wanted.judges else tags,
    )


def _tags(model: str, kind: Kind, wanted: Wanted) -> dict[str, str]:
    """Return the tags by which later ticks find the attempts at a batch.

    With the partition's tag Dagster resolves no partition. A batch that it cannot resolve, such as a partition added
    by the same tick, then does not fail the tick for all others.
    """
    return {MODEL: model, KIND: kind, PARTITION: wanted.batch, NEED: wanted.need}
