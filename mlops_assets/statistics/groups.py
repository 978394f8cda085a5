"""Resamples of whole groups of rows: the rows of one customer or one site are worth less than as many strangers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mlops_assets.lazy import np, pd
from mlops_assets.statistics.arrays import Floats, Integers
from mlops_assets.statistics.resampling import Seed, counts, draws


@dataclass(frozen=True)
class Groups:
    """The group (n,) of each row as a number, and how many rows (g,) each group has."""

    number: Integers
    size: Integers

    @classmethod
    def of(cls, groups: Any) -> Groups:
        """Return groups from a name for each row (n,); rows without a name form one group."""
        number = pd.factorize(np.asarray(groups), use_na_sentinel=False)[0].astype(np.int64)
        return cls(number, np.bincount(number))

    @property
    def effective(self) -> float:
        """The number of groups of equal size that are worth as much (Kish 1965): few large ones outweigh many small."""
        return float(self.size.sum() ** 2 / np.sum(self.size.astype(np.float64) ** 2))

    def take(self, rows: Integers) -> Groups:
        """Return the groups of these rows, by position."""
        return Groups.of(self.number[rows])

    def error_of_mean(self, series: Floats) -> tuple[float, float]:
        """Return the standard error of the mean of a series (n,) and its degrees of freedom.

        It is computed from the sums over groups (Liang & Zeger 1986; Cameron, Gelbach & Miller 2008); NaN if they count
        as fewer than two.
        """
        freedom = self.effective - 1
        if freedom < 1:
            return float("nan"), 1.0
        sums = np.bincount(self.number, series - series.mean(), len(self.size))
        return float(np.sqrt(np.sum(sums**2) * self.effective / freedom)) / len(series), freedom

    def means(self, columns: Floats, resamples: int, seed: Seed) -> Floats:
        """Return means (resamples, k) of columns (n, k) over resamples of as many groups (Field & Welsh 2007)."""
        sums = [np.bincount(self.number, column, len(self.size)) for column in columns.T]
        parts = [
            np.column_stack([column_sums[drawn].sum(axis=1) for column_sums in sums])
            / self.size[drawn].sum(axis=1, keepdims=True)
            for drawn in self.drawn(resamples, seed)
        ]
        return np.concatenate(parts)

    def weights(self, resamples: int, seed: Seed) -> Iterator[Floats]:
        """Yield how often each row is in each resample, some resamples (m, n) at a time."""
        for drawn in self.drawn(resamples, seed):
            yield counts(drawn, len(self.size)).astype(np.float64)[:, self.number]

    def drawn(self, resamples: int, seed: Seed) -> Iterator[Integers]:
        """Yield the groups of each resample, some resamples (m, groups) at a time."""
        return draws(len(self.size), len(self.size), len(self.number), resamples, seed)
