"""The largest batch that is read."""

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
