"""The largest batch that is read."""

from collections.abc import Iterator

from pydantic import Field

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

    def exceeded(self, rows: int, columns: int) -> Iterator[tuple[str, str, str]]:
        """Yield what there is too much of, "rows" or "columns", with what was found and what was expected."""
        for what, found, most in (("rows", rows, self.max_rows), ("columns", columns, self.max_columns)):
            if found > most:
                yield what, f"has {found:,} {what}", f"expected at most {most:,}"
