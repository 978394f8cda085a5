"""The champion as the pack last decided on it, kept beside the alias: what the alias is held against."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from mlops_assets.decisions.promotion.alias import AliasState, alias_state
from mlops_assets.errors import DamagedRecordError
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.records import record_of
from mlops_assets.resources.storage import Storage


@dataclass(frozen=True)
class ChampionRecord:
    """Who is champion by the pack's own decision, and since when (UTC, ISO 8601).

    It holds all that is needed to load the model by its digest, even where its version was deleted from the registry.
    """

    version: int
    digest: str
    run_id: str
    source: str
    since: str
    by: str
    reason: str
    tags: Mapping[str, str] = field(default_factory=dict)
    created: int = 0

    @property
    def data_version(self) -> str:
        """The training set that it was trained on."""
        return self.tags["data_version"]

    @property
    def declaration_version(self) -> str:
        """The declaration that it was trained by."""
        return self.tags["declaration_version"]

    def names(self, version: ModelVersion) -> bool:
        """Whether a registered version is the recorded one: a number may come back after a model was deleted."""
        return (version.version, version.digest) == (self.version, self.digest)

    def as_version(self, model: str) -> ModelVersion:
        """The registered version that it was made from."""
        return ModelVersion(model, self.version, self.digest, self.run_id, self.tags, self.created, self.source)


def write_champion_record(storage: Storage, champion: ModelVersion, since: str, by: str, reason: str) -> None:
    """Record the champion, after the alias has moved."""
    record = ChampionRecord(
        champion.version,
        champion.digest,
        champion.run_id,
        champion.source,
        since,
        by,
        reason,
        dict(champion.tags),
        champion.created,
    )
    storage.write_json(champion.model, "champion", value=asdict(record))


def champion_record(storage: Storage, model: str) -> ChampionRecord | None:
    """The recorded champion; needs no registry.

    Raises `DamagedRecordError` where the record cannot be read: that is not a model without a champion, and whoever
    took it for one would promote any version that passes the gates.
    """
    value = storage.read_json(model, "champion")
    if value is None and not storage.changed(model, "champion"):
        return None
    try:
        return record_of(ChampionRecord, value)
    except ValueError as error:
        raise DamagedRecordError(
            f"{storage.path_of(model, 'champion')} is not the record of a champion ({error}): restore it, or remove it "
            f"where the alias of {model} names the right version, and the next decision writes it anew"
        ) from error


def alias_standing(
    registry: MlflowRegistry, record: ChampionRecord | None, alias: ModelVersion | None, model: str
) -> AliasState:
    """Whether the alias stands where the pack put it, be it that a crash came between the alias and its record."""
    if record is not None and alias is not None and record.names(alias):
        return "sound"
    promotion = 0 if record is None else record.as_version(model).promotion
    return alias_state(alias, registry.versions(model), record is not None, promotion)


def champion_in_force(registry: MlflowRegistry, storage: Storage, model: str) -> ModelVersion | None:
    """The version to score with: what the alias names if a decision of this pack put it there, else the recorded one.

    An alias that was moved by hand, or lost with its version, does not change what scores: the last champion that was
    decided on goes on, by its digest.
    """
    alias, record = registry.champion(model), champion_record(storage, model)
    if record is None or (alias is not None and alias_standing(registry, record, alias, model) == "sound"):
        return alias
    return record.as_version(model)
