"""The largest batch that is read."""

from pydantic import Field

from mlops_assets.errors import SourceError
from mlops_assets.strict_model import Declared


class Limits(Declared):
    """The largest batch that is read. Each limit is checked before the batch is read whole."""

    max_mb: float = Field(default=512.0, gt=0, description="Largest file on disk, in MB (1,000,000 bytes).")
    max_rows: int = Field(default=5_000_000, gt=0, description="Most rows of one file or frame.")
    max_columns: int = Field(default=2_000, gt=0, description="Most columns of one file or frame.")
    max_unpacked_mb: float = Field(
        default=4_096.0,
        gt=0,
        description="Most MB that a compressed file (.csv.gz, .parquet) may unpack to; guards against bombs.",
    )

    memory_mb: float = Field(
        default=500.0,
        gt=0,
        description="A batch that unpacks to more MB than this is worked on disk, some rows or a column at a time; of "
        "training and holdout rows that take more, a sample is used. Work in memory takes up to ten times as much.",
    )

    def check(self, rows: int, columns: int, advice: str) -> None:
        """Raise SourceError where there are too many rows or columns; `advice` is what to do but to raise the limit."""
        for what, count, most in (("rows", rows, self.max_rows), ("columns", columns, self.max_columns)):
            if count > most:
                raise SourceError(
                    f"has {count:,} {what}; expected at most {most:,}. {advice}, or raise limits.max_{what}"
                )
