"""What is kept of the files of a folder from one look to the next.

A file is read once it was the same at two looks, so the first of them has to be remembered. Dagster keeps that with
each tick: it must not grow with the folder.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import takewhile

from mlops_assets.sources.keys import short_digest
from mlops_assets.sources.look import Look
from mlops_assets.sources.source import Known

MOST_FILES = 200
MOST_PERIOD_FILES = 500


def batch_entry(key: str) -> str:
    """Return the name of a period among the keys of files; no key has a blank."""
    return f"batch {key}"


def files_to_recall(known: Known, files: Callable[[], Mapping[str, str]] | None) -> Mapping[str, str]:
    """Return the marks of the files at the last look; `files` gives those of now, where batches are periods.

    Where a batch is a period, no record says that a file was taken in. So all files but the newest 500, the last in
    order, wait for one another: they count as unchanged while all of them are. The marks of the periods come with them.
    """
    if files is None:
        return {**known.marks, **known.tried, **known.seen}
    batches = {batch_entry(batch): mark for batch, mark in {**known.marks, **known.tried}.items()}
    if not known.rest:
        return {**batches, **known.seen}
    older = list(takewhile(lambda file: file[0] not in known.seen, files().items()))
    return {**batches, **(dict(older) if _digest(older) == known.rest else {}), **known.seen}


def files_to_keep(look: Look, known: Known, by_period: bool) -> tuple[dict[str, str], str]:
    """Return the marks that are needed at the next look, and a digest of the older ones where batches are periods.

    A file whose mark is that of the batch taken in, or of a batch that was tried, needs no entry. Of the others the
    first 200 get one, in the order of the source. Files that keep changing come last, so that they hold up no other.
    """
    if by_period:
        files = list(look.seen.items())
        return dict(files[-MOST_PERIOD_FILES:]), _digest(files[:-MOST_PERIOD_FILES])
    on_record = {**known.marks, **known.tried}
    new = [(batch, mark) for batch, mark in look.seen.items() if on_record.get(batch) != mark]
    new.sort(key=lambda file: known.seen.get(file[0], file[1]) != file[1])
    return dict(new[:MOST_FILES]), ""


def _digest(files: Iterable[tuple[str, str]]) -> str:
    text = "\n".join(f"{key} {mark}" for key, mark in files)
    return short_digest(text) if text else ""
