"""The errors of the pack: one base class, so that a caller can catch all of them."""


class MlopsAssetsError(Exception):
    """Something that a person can mend: the message says what, where, what was expected and what to do."""


class DeclarationError(MlopsAssetsError):
    """A `ModelPipeline` (or a part of one) is declared wrongly."""


class SourceError(MlopsAssetsError):
    """A batch cannot be read: missing, unsafe, too large, truncated or in another encoding."""


class SourceUnavailableError(SourceError):
    """A source does not answer as declared: no batch is at fault, so none is rejected and each is tried again."""


class ExpectationsError(MlopsAssetsError):
    """A suite of expectations cannot be used: unknown type, unsafe or unreadable."""


class FeaturesError(MlopsAssetsError):
    """The user's feature function returned something that cannot be used."""


class TrainingError(MlopsAssetsError):
    """There is nothing sound to train or to compare on."""


class EngineError(MlopsAssetsError):
    """The engine that runs independent tasks, such as the trials of a search, does not answer or lost a task."""


class RegistryError(MlopsAssetsError):
    """The model registry does not answer, or does not hold what it should."""


class ArtifactError(RegistryError):
    """A model artifact is refused: missing, changed since registration, or of an unsafe format."""


class MissingArtifactError(ArtifactError):
    """The files of an artifact are gone."""


class MisplacedArtifactError(MissingArtifactError):
    """MLflow's store keeps artifacts in another place than declared, as after its home was moved or copied."""


class DamagedRecordError(MlopsAssetsError):
    """A record in storage cannot be read: it is truncated, malformed, or its file denies access."""


class StorageError(MlopsAssetsError):
    """The storage does not answer or cannot be written to; whether something is stored there is not known."""


class RecordsError(MlopsAssetsError):
    """The database of records does not answer, or a newer release wrote it."""


class StaleRecordError(RecordsError):
    """A record was written by another process since it was read."""


class SupersededError(MlopsAssetsError):
    """A promotion comes too late: another promotion was begun after its decision, or its run has ended."""
