"""Which labelled rows a training takes where all do not fit into memory: a sample by batch and class, always the same.

Each batch and each class of a classifier gives the same share of its rows, to within one row. Of the training rows a
class that would keep fewer than `LEAST_OF_CLASS` keeps that many, or all that it has. The holdout has no such floor: it
stands for the rows of production.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from mlops_assets.lazy import np, pd
from mlops_assets.modelling.manifest import BatchInfo, Sample
from mlops_assets.modelling.problem import MOST_CLASSES_INFERRED
from mlops_assets.text import shown

LEAST_OF_CLASS = 100
"""Training rows that each class keeps, if it has them; all classes at their floor add at most a tenth to the sample."""

_HOLDOUT = 0.2
_FLOORS = 0.1
_HEAD = 10_000

Labels = Callable[[BatchInfo], "pd.Series[Any]"]
"""Returns the labels (n,) of a batch, NaN for a row that may not be used."""


@dataclass(frozen=True)
class ClassShare:
    """A class of the target with its labelled rows, and those of them that were drawn."""

    value: Any
    rows: int
    taken: int


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """The rows that were drawn: `positions` by batch, `taken` of `rows` labelled rows.

    `classes` is empty where the target is a number that is measured.
    """

    sample: Sample
    positions: Mapping[str, np.ndarray]
    rows: int
    classes: tuple[ClassShare, ...] = ()

    @property
    def taken(self) -> int:
        """The number of rows that were drawn."""
        return sum(map(len, self.positions.values()))

    @property
    def text(self) -> str:
        """What the rows are, in words."""
        by = "batch and class" if self.classes else "batch"
        return (
            f"a sample by {by} of {self.taken:,} of {self.rows:,} labelled rows, seed {self.sample.seed}: training and "
            f"holdout rows exceed limits.memory_mb={self.sample.memory_mb:g}{self._note()}"
        )

    def _note(self) -> str:
        """Name the classes whose share is not that of all rows."""
        share = self.taken / max(self.rows, 1)
        more = [kind for kind in self.classes if kind.taken > kind.rows * share + 1]
        lost = [kind for kind in self.classes if not kind.taken]
        parts = [
            f"; class {shown(kind.value)} keeps {kind.taken:,} of its {kind.rows:,} rows, more than its share of "
            f"{kind.rows * share:.1f}"
            for kind in more[:3]
        ]
        parts += [f"; class {shown(kind.value)} with {kind.rows:,} rows is not in it" for kind in lost[:3]]
        return "".join(parts)


def shares(train: int, holdout: int, most: int) -> tuple[float, float]:
    """Return the shares of the training and of the holdout rows that are used, so that both are `most` rows at most.

    The holdout is whole while it takes at most a fifth of `most`: what is judged on a few rows stays undecided.
    """
    total = train + holdout
    if total <= most:
        return 1.0, 1.0
    judged = min(holdout, max(most * _HOLDOUT, most * holdout / total))
    return _rounded((most - judged) / max(train, 1)), _rounded(judged / max(holdout, 1))


def draw(batches: Sequence[BatchInfo], labels_of: Labels, problem: str | None) -> tuple[Drawn, ...]:
    """Draw the rows of batches that have a sample, for each role on its own; batches without one are left out.

    A row is drawn by the seed, the version of its batch's rows and its position, whatever else is read and in which
    order. problem: as declared. `labels_of` is called twice for each batch: one batch is in memory at a time.
    """
    sampled = [batch for batch in batches if batch.sample is not None]
    by_role = groupby(sampled, key=lambda batch: batch.sample)
    return tuple(_draw(sample, list(group), labels_of, problem) for sample, group in by_role if sample is not None)


def allocation(counts: np.ndarray, share: float, least: int = 0) -> np.ndarray:
    """Return how many rows (batches, classes) are drawn from as many as `counts` says.

    A class gives `share` of its rows over all batches, at least `least` if it has them. Each batch gives its part of
    that to within one row.
    """
    totals = counts.sum(axis=0)
    wanted = np.maximum(np.floor(totals * share + 0.5).astype(np.int64), np.minimum(totals, least))
    halves = 2 * np.maximum(totals, 1)  # whole numbers: no two machines round them in two ways
    up_to = (2 * counts.cumsum(axis=0) * wanted + totals) // halves
    differences: np.ndarray = np.diff(up_to, axis=0, prepend=0)
    return differences


def _draw(sample: Sample, batches: list[BatchInfo], labels_of: Labels, problem: str | None) -> Drawn:
    counted, by_class = _counted(batches, labels_of, problem)
    classes = list(dict.fromkeys(value for counts in counted for value in counts))
    counts = np.array([[each.get(value, 0) for value in classes] for each in counted], np.int64)
    counts = counts.reshape(len(batches), len(classes))
    floors = int(_FLOORS * sample.share * counts.sum() / max(len(classes), 1))
    least = min(LEAST_OF_CLASS, floors) if by_class and sample.role == "train" else 0
    taken = allocation(counts, sample.share, least)
    place = {value: number for number, value in enumerate(classes)}
    positions = {
        batch.key: _positions(_codes(labels_of(batch), place if by_class else None), wanted, sample.seed, batch)
        for batch, wanted in zip(batches, taken, strict=True)
    }
    shown_classes = zip(classes, counts.sum(axis=0).tolist(), taken.sum(axis=0).tolist(), strict=True)
    return Drawn(
        sample=sample,
        positions=positions,
        rows=int(counts.sum()),
        classes=tuple(ClassShare(*row) for row in shown_classes) if by_class else (),
    )


def _counted(
    batches: Sequence[BatchInfo], labels_of: Labels, problem: str | None
) -> tuple[list[Mapping[Hashable, int]], bool]:
    """Return the labelled rows of each batch by class, and whether there are classes; without them under None."""
    by_class, known = problem != "regression", set[Hashable]()
    counted: list[Mapping[Hashable, int]] = []
    for batch in batches:
        labels = labels_of(batch)
        measured = problem is None and _is_number(labels)
        if by_class and not (measured and labels.head(_HEAD).nunique() > MOST_CLASSES_INFERRED):
            codes, classes = pd.factorize(labels)
            of_class = np.bincount(codes[codes >= 0], minlength=len(classes)).tolist()
            counted.append(dict(zip(classes, of_class, strict=True)))
            known.update(classes)
            by_class = not (measured and len(known) > MOST_CLASSES_INFERRED)
        else:
            by_class = False
            counted.append({None: int(labels.notna().sum())})
    if not by_class:
        counted = [{None: sum(counts.values())} for counts in counted]
    return counted, by_class


def _is_number(labels: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(labels.dtype) and not pd.api.types.is_bool_dtype(labels.dtype)


def _codes(labels: pd.Series, place: Mapping[Hashable, int] | None) -> np.ndarray:
    """Return the number of each row's class (n,), -1 for a row without a label."""
    if place is None:
        return np.where(labels.notna().to_numpy(), np.int32(0), np.int32(-1))
    codes, classes = pd.factorize(labels)
    numbers: np.ndarray = np.array([*(place[value] for value in classes), -1], np.int32)[codes]  # the code -1 is last
    return numbers


def _positions(codes: np.ndarray, wanted: np.ndarray, seed: int, batch: BatchInfo) -> np.ndarray:
    """Return the positions of the rows that are drawn, rising: of each class as many as `wanted` says."""
    rows_version = batch.version.split("-")[0]  # labels that come later do not draw other rows
    digest = hashlib.sha256(f"{seed} {rows_version}".encode()).digest()
    chance = np.random.default_rng(int.from_bytes(digest[:8], "big")).random(len(codes))
    order = np.lexsort((chance, codes))
    starts = np.searchsorted(codes[order], np.arange(len(wanted)))
    drawn = [order[start : start + count] for start, count in zip(starts, wanted, strict=True)]
    return np.sort(np.concatenate([np.empty(0, np.int64), *drawn]))


def _rounded(share: float) -> float:
    """Return a share with six digits, as it is recorded and shown."""
    return float(f"{share:.6g}")
