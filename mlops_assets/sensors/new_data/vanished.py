"""Batches whose source is gone: reported once, and once more when it is back."""

from collections.abc import Sequence

import dagster as dg

from mlops_assets.assets.shared.keys import asset_key
from mlops_assets.declaration import Declaration

MOST_GONE = 1_000
MOST_REPORTED = 20

_GONE = (
    "Its source is gone. Its stored rows stay in training; take it out with the job {model}_exclude if they should not."
)
_BACK = "Its source is back."
_MORE = (
    "The sources of more than {most:,} batches are gone, as where files are moved away once they were taken in: from "
    "here on they are not reported one by one. Their stored rows stay in training."
)


def report_vanished(
    model: Declaration, vanished: Sequence[str] | None, before: Sequence[str]
) -> tuple[list[dg.AssetObservation], tuple[str, ...]]:
    """Return observations of batches that vanished (None: unknown) or came back, and the batches now reported as gone.

    A tick reports at most 20 batches, and at most 1,000 are reported as gone: tick and cursor stay bounded.
    """
    if vanished is None:
        return [], tuple(before)
    gone = set(vanished)
    back = [batch for batch in before if batch not in gone][:MOST_REPORTED]
    still = [batch for batch in before if batch not in back]
    room = min(MOST_REPORTED - len(back), MOST_GONE - len(still))
    new = [batch for batch in vanished if batch not in before][: max(room, 0)]
    events = [_observation(model, batch, _BACK) for batch in back]
    events += [_observation(model, batch, _GONE.format(model=model.name)) for batch in new]
    if new and len(still) + len(new) == MOST_GONE < len(gone):
        events.append(_observation(model, None, _MORE.format(most=MOST_GONE)))
    return events, (*still, *new)


def _observation(model: Declaration, batch: str | None, text: str) -> dg.AssetObservation:
    return dg.AssetObservation(
        asset_key(model.name, "dataset"), partition=batch, description=text, metadata={"source": text}
    )
