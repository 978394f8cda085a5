"""Where batches come from: what there is, what is ready, and one batch read with care."""

from mlops_assets.sources.folder import Folder
from mlops_assets.sources.frame import Frame
from mlops_assets.sources.limits import Limits
from mlops_assets.sources.table import Table
from mlops_assets.sources.upstream_asset import UpstreamAsset

Source = Folder | Frame | Table | UpstreamAsset

__all__ = ["Folder", "Frame", "Limits", "Source", "Table", "UpstreamAsset"]
