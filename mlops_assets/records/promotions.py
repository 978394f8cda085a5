"""The ledger of promotions: which version became champion, when, how and why. MLflow is compared with it."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from mlops_assets.errors import DamagedRecordError, SupersededError
from mlops_assets.records.typed import Records
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.storage import Storage

How = Literal["first", "evidence", "approval", "rollback", "by hand"]


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """One promotion of a version. Numbers count up by one; a promotion's record is added, and later says how it ended.

    Three moments (UTC, ISO 8601): `intended`, before the alias moves; `done`, after it; `abandoned`, of a promotion
    that ended before the alias moved. The last two are "" until then. `evidence` is the SHA-256 of the verdict. The
    other fields suffice to load the model by its digest, even if its version was deleted from the registry.
    """

    KIND: ClassVar[str] = "promotions"

    number: int
    how: How
    by: str
    reason: str
    dagster_run_id: str
    intended: str
    version: int
    digest: str
    run_id: str
    source: str
    tags: Mapping[str, str] = field(default_factory=dict)
    created: int = 0
    evidence: str = ""
    against: int | None = None
    done: str = ""
    abandoned: str = ""

    @property
    def open(self) -> bool:
        """Whether the promotion was begun and has not ended."""
        return not self.done and not self.abandoned

    def names(self, version: ModelVersion | None) -> bool:
        """Return whether a version is the promoted version: its number may be used again after a model was deleted."""
        return version is not None and (version.version, version.digest) == (self.version, self.digest)

    def as_version(self, model: str) -> ModelVersion:
        """Return the registered version that was promoted."""
        return ModelVersion(
            model=model,
            version=self.version,
            digest=self.digest,
            run_id=self.run_id,
            tags=self.tags,
            created=self.created,
            source=self.source,
        )


def evidence_digest(evidence: Any) -> str:
    """Return the SHA-256 of a decision's evidence."""
    return hashlib.sha256(json.dumps(evidence, sort_keys=True, default=str).encode()).hexdigest()


class PromotionLedger:
    """All promotions of one model, in order of number; records are added and never removed."""

    def __init__(self, storage: Storage, model: str) -> None:
        self._model = model
        self._promotions = Records(storage, model, Promotion)

    def all(self) -> list[Promotion]:
        """Return all promotions, the newest first.

        Raise `DamagedRecordError` if one cannot be read: if the model counted as a model without a champion, any
        version that passes the gates would be promoted.
        """
        for damaged in self._promotions.damaged():
            raise DamagedRecordError(
                f"{damaged.reason}: no decision is made and no batch is scored. Restore the database from a backup"
            )
        return _newest_first(self._promotions.all())

    def champion(self) -> Promotion | None:
        """Return the newest completed promotion: its version is champion, whatever the alias names."""
        return next((promotion for promotion in self.all() if promotion.done), None)

    def under_way(self) -> Promotion | None:
        """Return the newest promotion if it has not ended, else None."""
        newest = next(iter(self.all()), None)
        return newest if newest is not None and newest.open else None

    def last_number(self) -> int:
        """Return the number of the newest promotion, 0 if there is none."""
        return max((promotion.number for promotion in self.all()), default=0)

    def intend(
        self,
        version: ModelVersion,
        *,
        judged_against: int,
        how: How,
        by: str,
        reason: str,
        dagster_run_id: str,
        evidence: str,
        compared_with: int | None,
        run_is_over: Callable[[], str],
    ) -> Promotion:
        """Add the next promotion, before the alias moves.

        judged_against: `last_number` when the decision was made. run_is_over: returns why the run may no longer
        promote, "" while it is in progress; it is called inside the transaction.

        Raise `SupersededError`, and write nothing, if another promotion was begun since or the run is over.
        """
        promotion = Promotion(
            number=judged_against + 1,
            how=how,
            by=by,
            reason=reason,
            dagster_run_id=dagster_run_id,
            intended=_now(),
            version=version.version,
            digest=version.digest,
            run_id=version.run_id,
            source=version.source,
            tags=dict(version.tags),
            created=version.created,
            evidence=evidence,
            against=compared_with,
        )
        refusal = f"{self._model}: version {version.version} is not promoted"
        with self._promotions.writing() as writing:
            newest = next(iter(_newest_first(writing.all())), None)
            if (0 if newest is None else newest.number) != judged_against:
                newer = "none" if newest is None else f"{newest.number}, of version {newest.version}"
                raise SupersededError(
                    f"{refusal}: it was judged when promotion {judged_against} was the newest, and the newest is "
                    f"{newer} by now; let the champion step judge it anew"
                )
            if over := run_is_over():
                raise SupersededError(f"{refusal}: {over}; the champion stays as it is, the next run judges anew")
            writing.put(_key(promotion.number), promotion, expected=0)
        return promotion

    def finish(self, number: int) -> Promotion:
        """Record that the alias has moved; raise `SupersededError` if another run has ended the promotion meanwhile."""
        return self._end(number, done=_now())

    def abandon(self, number: int) -> Promotion:
        """Record that a promotion ended before the alias moved."""
        return self._end(number, abandoned=_now())

    def check_open(self, number: int) -> None:
        """Raise `SupersededError` unless a promotion is under way."""
        self._still_open(number, self._promotions.sound(_key(number)))

    def mend_sources(self, mended: Callable[[Promotion], str]) -> None:
        """Record the new places of artifacts after a home was moved."""
        with self._promotions.writing() as writing:
            for key, promotion in writing.all().items():
                writing.put(key, replace(promotion, source=mended(promotion)))

    def _still_open(self, number: int, promotion: Promotion | None) -> Promotion:
        if promotion is None or not promotion.open:
            raise SupersededError(
                f"{self._model}: promotion {number} was ended by another run, which found it cut short"
            )
        return promotion

    def _end(self, number: int, **moment: str) -> Promotion:
        with self._promotions.writing() as writing:
            promotion = self._still_open(number, writing.get(_key(number)))
            ended = replace(promotion, **moment)  # type: ignore[arg-type]  # `done` or `abandoned`
            writing.put(_key(number), ended)
        return ended


def former_champions(promotions: Sequence[Promotion]) -> list[Promotion]:
    """Return the completed promotions of other versions before the current champion's promotion, the newest first."""
    done = [promotion for promotion in promotions if promotion.done]
    return [former for former in done[1:] if (former.version, former.digest) != (done[0].version, done[0].digest)]


def _newest_first(promotions: Mapping[str, Promotion]) -> list[Promotion]:
    return sorted(promotions.values(), key=lambda promotion: promotion.number, reverse=True)


def _key(number: int) -> str:
    return f"{number:06}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
