"""Which batches of a `Folder` are ready."""

from __future__ import annotations

import time as clock
from collections.abc import Mapping

from mlops_assets.errors import SourceError, SourceUnavailableError
from mlops_assets.lazy import pd
from mlops_assets.sources import Folder, Look, Period, Waiting
from mlops_assets.sources.folder.files import files_of, periods_of
from mlops_assets.sources.folder.listing import File
from mlops_assets.sources.folder.marks import Mark, mark_of_all
from mlops_assets.sources.folder.memory import batch_entry
from mlops_assets.sources.folder.opening import SlowFileError
from mlops_assets.sources.periods import ready_periods

LOOK_SECONDS = 8.0
"""After so long a look leaves the files that it did not come to for the next one, which knows the others already."""

FILE_SECONDS = 20.0
"""A file that takes longer to be divided by period waits, so that no look is held up: Dagster ends a tick after 60."""

_QUIET_SECONDS = 10.0


def look(folder: Folder, seen: Mapping[str, str] | None, now: pd.Timestamp) -> Look:
    """Return which batches are ready; without a period no file is opened.

    `seen` is what `Folder.recall` gave. Without it, a file is ready 10 s after its last change. A mark on record is
    kept for as long as it is of the same content.
    """
    try:
        files, waiting = files_of(folder)
    except OSError as problem:
        return Look({}, (Waiting(folder.path, f"the folder cannot be listed: {problem.strerror}"),), listed=False)
    reasons = {file: _reason_to_wait(folder, file, seen, now) for file in files}
    stable = [file for file, reason in reasons.items() if not reason]
    waiting += [Waiting(file.shown, reason) for file, reason in reasons.items() if reason]
    recorded = seen or {}
    if folder.period is None:
        marks = {file.key: file.mark.settled(recorded.get(file.key)) for file in files}
        return Look({file.key: marks[file.key] for file in stable}, tuple(waiting), marks)
    found, others = _look_at_periods(folder, stable, folder.period, now)
    ready = {key: mark.settled(recorded.get(batch_entry(key))) for key, mark in found.items()}
    return Look(ready, (*waiting, *others), {file.key: file.mark.content for file in files})


def _reason_to_wait(folder: Folder, file: File, seen: Mapping[str, str] | None, now: pd.Timestamp) -> str | None:
    if file.done or not file.regular:
        return None
    if folder.marker:
        return f"there is no {file.name.rpartition('/')[2] + '.done'!r:.80} yet"
    if seen is None:
        quiet = now.timestamp() - file.modified >= _QUIET_SECONDS
        return None if quiet else f"changed less than {_QUIET_SECONDS:.0f} s ago"
    if file.key not in seen:
        return "new: read when the next look finds it unchanged"
    return None if file.mark.is_of(seen[file.key]) else "changed since the last look"


def _look_at_periods(
    folder: Folder, files: list[File], period: Period, now: pd.Timestamp
) -> tuple[dict[str, Mark], list[Waiting]]:
    """Return the periods that are over, then the files that cannot be divided, as batches of their own."""
    marks: dict[str, list[tuple[str, Mark]]] = {}
    undivided: dict[str, Mark] = {}
    slow: list[Waiting] = []
    ends = clock.monotonic() + LOOK_SECONDS
    for number, file in enumerate(files):
        if clock.monotonic() > ends:
            raise SourceUnavailableError(
                f"{number:,} of {len(files):,} files were divided by {period} in "
                f"{LOOK_SECONDS:.0f} s. The next look goes on; nothing needs to be done"
            )
        periods = periods_of(folder, file, period, FILE_SECONDS)
        if isinstance(periods, SlowFileError):
            slow.append(Waiting(file.shown, str(periods)))
        elif isinstance(periods, SourceError):
            undivided[file.undivided_key] = file.mark
        else:
            for key in periods:
                marks.setdefault(key, []).append((file.key, file.mark))
    ready, running = ready_periods({key: mark_of_all(files) for key, files in marks.items()}, period, now)
    return {**ready, **undivided}, [*slow, *running]
