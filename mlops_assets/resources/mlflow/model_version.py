"""A registered version of a model, as the registry describes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlops_assets.errors import RegistryError

REFIT_OF = "refit_of"
"""Tag of a refit: the number of the judged version. The tags beside it suffice to load that version."""

SAMPLE = "sample"
"""Tag of a version and of its run: of which rows it was fitted and judged on a sample; absent for all rows."""

_JUDGED_SAMPLE = "judged_sample"
_JUDGED_DATA, _JUDGED_DIGEST, _JUDGED_RUN = "judged_data_version", "judged_digest", "judged_run_id"


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """A registered version; `digest` is the SHA-256 of its files, `created` is in ms since 1970, UTC.

    `source` is the place of its files; "" if that is not on record: then it is the model of its run.
    """

    model: str
    version: int
    digest: str
    run_id: str
    tags: Mapping[str, str] = field(default_factory=dict)
    created: int = 0
    source: str = ""

    @property
    def data_version(self) -> str:
        """The version of the training set that the model was trained on; see `tag`."""
        return self.tag("data_version")

    @property
    def declaration_version(self) -> str:
        """The version of the declaration that the model was trained by; see `tag`."""
        return self.tag("declaration_version")

    @property
    def sample(self) -> str:
        """Of which rows the model was fitted and judged on a sample; "" for all rows."""
        return self.tags.get(SAMPLE, "")

    @property
    def refit_of(self) -> int:
        """The number of the version that was judged in place of this refit; 0 for a version that is not a refit."""
        tag = self.tags.get(REFIT_OF, "")
        return int(tag) if tag.isascii() and tag.isdigit() else 0  # another tool may have written the tag

    @property
    def judged(self) -> "ModelVersion":
        """The version that was judged on a holdout: itself or, for a refit, the judged version, even if deleted."""
        if not self.refit_of:
            return self
        return ModelVersion(
            model=self.model,
            version=self.refit_of,
            digest=self.tag(_JUDGED_DIGEST),
            run_id=self.tag(_JUDGED_RUN),
            tags={
                "data_version": self.tag(_JUDGED_DATA),
                "declaration_version": self.declaration_version,
                SAMPLE: self.tags.get(_JUDGED_SAMPLE, ""),
            },
        )

    def tags_of_refit(self) -> dict[str, str]:
        """Return the tags of a refit of this version, which `judged` reads."""
        judged = {_JUDGED_DATA: self.data_version, _JUDGED_DIGEST: self.digest, _JUDGED_RUN: self.run_id}
        return {REFIT_OF: str(self.version), **judged, **({_JUDGED_SAMPLE: self.sample} if self.sample else {})}

    def tag(self, name: str) -> str:
        """Return a tag that every version of the pack has; raise `RegistryError` for a version of another tool."""
        if name not in self.tags:
            raise RegistryError(
                f"{self.model} version {self.version} has no tag {name!r}, so another tool registered it, or the tag "
                f"was removed: name a version that {self.model}/challenger made"
            )
        return self.tags[name]
