"""Where batches come from: what there is, what is ready, and one batch read with care."""

from mlops_assets.sources.delta.source import Delta
from mlops_assets.sources.folder.source import Folder
from mlops_assets.sources.frame.source import Frame
from mlops_assets.sources.limits import Limits
from mlops_assets.sources.look import Look, Period, Waiting
from mlops_assets.sources.source import Source
from mlops_assets.sources.table.source import Table
from mlops_assets.sources.upstream.source import UpstreamAsset

__all__ = ["Delta", "Folder", "Frame", "Limits", "Look", "Period", "Source", "Table", "UpstreamAsset", "Waiting"]
