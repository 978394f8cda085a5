"""A registered version of a model, as the registry tells of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ModelVersion:
    """A registered version; `digest` is the SHA-256 of its files, `created` is in ms since 1970, UTC."""

    model: str
    version: int
    digest: str
    run_id: str
    tags: Mapping[str, str] = field(default_factory=dict)
    created: int = 0
    source: str = ""

    @property
    def promotion(self) -> int:
        """The number of its last promotion that was done; 0 if it was never champion."""
        return int(self.tags.get("promotion", 0))

    @property
    def intended(self) -> int:
        """The number of its last promotion that was begun."""
        return int(self.tags.get("promotion_intended", 0))
