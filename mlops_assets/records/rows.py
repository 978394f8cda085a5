"""Labelled rows of a manifest, read from the stored batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, replace
from functools import lru_cache

from mlops_assets.declaration import Declaration
from mlops_assets.disk_frame import ROWS_AT_ONCE, rechunked
from mlops_assets.errors import SourceError, TrainingError
from mlops_assets.file_systems import is_local
from mlops_assets.lazy import np, pd
from mlops_assets.modelling.manifest import BatchInfo, Manifest
from mlops_assets.modelling.sampling import Drawn, draw
from mlops_assets.records.batches import BatchRecord
from mlops_assets.records.frames import DATASET, FEATURES, LABELS
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.outcome_frames import KNOWN_AT, LABEL, moments
from mlops_assets.records.reads_ahead import AT_ONCE, reads_in_order
from mlops_assets.resources.storage import Storage

_MOST_OF_LARGE = 1_000_000


@dataclass(frozen=True)
class Rows:
    """n labelled rows in order of time. `X` (n, features), `y` (n,), `batch` (n,) the ordinal of each row's batch,
    `about` (n, time + group + key + slices) the identifying columns. `known_later` counts the labelled rows that are
    left out because their label was not known in time. `drawn` says of which rows these are a sample, by role."""

    X: pd.DataFrame
    y: pd.Series
    batch: np.ndarray
    _: KW_ONLY
    about: pd.DataFrame
    known_later: int = 0
    drawn: tuple[Drawn, ...] = ()

    @property
    def sample(self) -> str:
        """Say that the rows are a sample, and of what; "" if they are all rows."""
        return "; ".join(drawn.text for drawn in self.drawn if drawn.taken < drawn.rows)

    def time(self, name: str | None) -> pd.Series | None:
        """Return the rows' time, None if the model declares no time."""
        return self.about[name] if name else None


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """The columns that are read from the stored rows of a model."""

    target: str
    time: str | None
    known_at: str | None
    outcomes: bool
    about: tuple[str, ...]

    @property
    def stored(self) -> tuple[str, ...]:
        """The columns of the dataset; where labels come later, without labels and their times."""
        labels = () if self.outcomes else (self.target, *([self.known_at] if self.known_at else []))
        return tuple(dict.fromkeys((*labels, *self.about)))


def read_train(records: ModelRecords, manifest: Manifest) -> Rows:
    """Return the rows to train on, at the versions that the manifest names, and of these the sample that it names.

    With `known_at`, only rows whose label was known when the holdout begins: in production a model trained then could
    not know the other labels. Labels without this time are left out. Without a holdout, as for a refit, every label
    of the manifest counts.

    The steps of a run share the rows read last, since a stored version never changes: do not write into the result.
    """
    model = records.model
    known_by = _begin(model, manifest) if model.known_at and manifest.holdout else None
    return _rows(records.storage, model.name, _columns(model), manifest.train, known_by, model.problem)


def read_holdout(records: ModelRecords, manifest: Manifest) -> Rows:
    """Return the rows to judge on, with every label of the manifest; otherwise as `read_train`."""
    model = records.model
    return _rows(records.storage, model.name, _columns(model), manifest.holdout, None, model.problem)


def sample_of(train: Rows, holdout: Rows | None = None) -> str:
    """Say of which rows a training takes a sample; "" if it takes all."""
    texts = {"training rows": train.sample, "holdout": holdout.sample if holdout is not None else ""}
    return "; ".join(f"{role}: {text}" for role, text in texts.items() if text)


def read_batch(
    records: ModelRecords, batch: str, version: str, features: str, labels: str | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return features of all rows of a batch, and its target, time, group, key and slice columns, row by row.

    Where labels come later, the target is NaN unless `labels` names a version.
    """
    X = records.read_frame(FEATURES, batch, features)
    about, _ = _about(records.storage, records.name, _columns(records.model), batch, version, labels)
    return X, about


def about_chunks(records: ModelRecords, record: BatchRecord) -> Iterator[pd.DataFrame]:
    """Yield time, group, key and slice columns of all rows of a batch, as many at a time as a large frame has."""
    names = list(_columns(records.model).about)
    stored = records.frame_chunks(DATASET, record.batch, str(record.version), names or None, ROWS_AT_ONCE)
    return (chunk[names] for chunk in rechunked(stored))


def read_sampled(
    records: ModelRecords, record: BatchRecord, most: int | None = 100_000
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read as `read_batch`, in order of time where rows have one; of more than `most` rows always the same sample.

    A label whose `known_at` lies in the future is NaN.
    """
    rows = _sampled(record.rows, most) if most is not None and records.large(FEATURES, record) is not None else None
    target, (about, known_at) = records.model.target, _recorded(records, record, rows=rows)
    later = _is_future(known_at)
    about = about.assign(**{target: about[target].mask(later)}) if later.any() else about
    if rows is None and most is not None and len(about) > most:
        rows = _sampled(len(about), most)
        about = about.iloc[rows].reset_index(drop=True)
    X = records.features(record, rows=rows)
    order = time_order(about[records.model.time]) if records.model.time else slice(None)
    return X.iloc[order], about.iloc[order]


def sampled_dataset(records: ModelRecords, record: BatchRecord, most: int = 100_000) -> pd.DataFrame:
    """Return the rows of a batch; of one that does not fit into memory always the same sample, in their order."""
    if records.large(DATASET, record) is None:
        return records.dataset(record)
    return records.read_frame(DATASET, record.batch, str(record.version), rows=_sampled(record.rows, most))


def _sampled(rows: int, most: int) -> np.ndarray:
    """Return always the same `most` of so many rows, in their order; all if there are no more."""
    return np.sort(np.random.default_rng(0).choice(rows, min(most, rows), replace=False))


@dataclass(frozen=True)
class LabelledRows:
    """Features `X` (n,) and labels `y` (n,) of a batch, in order of time where rows have one.

    A label that is missing, or whose `known_at` lies in the future, is NaN. `labelled` of `rows` have a label. Of a
    batch that does not fit into memory X and y are a sample.
    """

    X: pd.DataFrame
    y: pd.Series
    labelled: int
    rows: int

    @property
    def sample(self) -> str:
        """Say that the rows are a sample; "" if they are all rows."""
        if len(self.y) == self.rows:
            return ""
        return f"a random sample of {len(self.y):,} of {self.rows:,} rows, always the same: the batch exceeds memory_mb"


def read_labelled(records: ModelRecords, record: BatchRecord) -> LabelledRows:
    """Return features and labels of all rows of a batch, or of a million rows if it does not fit into memory."""
    is_large = records.large(FEATURES, record) is not None
    X, about = read_sampled(records, record, most=_MOST_OF_LARGE if is_large else None)
    y = about[records.model.target]
    if len(y) == record.rows or not is_large:
        return LabelledRows(X, y, int(y.notna().sum()), len(y))
    labels, known_at = _recorded(records, record, about=False)
    known = labels[records.model.target].notna().to_numpy() & ~_is_future(known_at)
    return LabelledRows(X, y, int(known.sum()), len(known))


def next_label_at(records: ModelRecords, record: BatchRecord) -> str:
    """Return the next `known_at` (UTC, ISO 8601) in the future among a batch's labels; "" if there is none."""
    if records.model.known_at is None:
        return ""
    _, known_at = _recorded(records, record, about=False)
    future = known_at[_is_future(known_at)]
    return "" if future.empty else future.min().tz_localize("UTC").isoformat()


def time_order(times: pd.Series, batch: np.ndarray | None = None) -> np.ndarray:
    """Return positions (n,) that sort rows by time, within batches if the ordinals `batch` of the batches are given.

    Rows with the same time are shuffled, with a fixed seed. A file often sorts them by label or place: the block
    bootstrap would take such rows for autocorrelated, and the baseline "previous" would profit from their order.
    """
    shuffled = np.random.default_rng(0).permutation(len(times))
    return np.lexsort((shuffled, times.to_numpy(), *(() if batch is None else (batch,))))


def _columns(model: Declaration) -> _Columns:
    about = dict.fromkeys(name for name in (model.time, model.group, *model.key, *model.slices) if name)
    return _Columns(
        target=model.target,
        time=model.time,
        known_at=model.known_at,
        outcomes=model.outcomes is not None,
        about=tuple(about),
    )


def _is_future(known_at: pd.Series) -> np.ndarray:
    return (known_at > pd.Timestamp.now("UTC").tz_localize(None)).to_numpy()


def _recorded(
    records: ModelRecords, record: BatchRecord, *, rows: np.ndarray | None = None, about: bool = True
) -> tuple[pd.DataFrame, pd.Series]:
    """Read as `_about`, at the recorded versions; without identifying columns unless `about`."""
    columns = _columns(records.model)
    if not about and columns.stored:  # where labels are stored elsewhere, any column gives the number of rows
        columns = replace(columns, about=columns.about[:1] if columns.outcomes else ())
    return _about(records.storage, records.name, columns, record.batch, str(record.version), record.labels, rows)


def _about(
    storage: Storage,
    model: str,
    columns: _Columns,
    batch: str,
    version: str,
    labels: str | None,
    rows: np.ndarray | None = None,
) -> tuple[pd.DataFrame, pd.Series]:
    """Return target and identifying columns of a batch, and when each label became known (NaT: unknown).

    rows: positions of the rows; all without it.
    """
    about = storage.read_frame(model, DATASET, batch, version, columns.stored, rows)
    if columns.outcomes and labels is not None:
        outcomes = storage.read_frame(model, LABELS, batch, labels, None, rows)
        return about.assign(**{columns.target: outcomes[LABEL]}), outcomes[KNOWN_AT]
    unknown = pd.Series(pd.NaT, index=about.index, dtype="datetime64[us]")
    if columns.outcomes:
        return about.assign(**{columns.target: float("nan")}), unknown
    if columns.known_at is None:
        return about, unknown
    try:
        known_at = moments(about[columns.known_at])
    except SourceError as error:
        raise TrainingError(f"{model}: batch {batch!r}: {error}, or take the batch out of training") from error
    return about[[columns.target, *columns.about]], known_at


def _begin(model: Declaration, manifest: Manifest) -> pd.Timestamp:
    """Return the first moment of the holdout, in UTC without a zone, as `known_at` is stored."""
    starts = [batch.start for batch in manifest.holdout if batch.start is not None]
    if len(starts) < len(manifest.holdout):
        timeless = [batch.key for batch in manifest.holdout if batch.start is None]
        raise TrainingError(
            f"{model.name}: batches {timeless[:5]} were taken in before `time` was declared, so what was known when "
            f"the holdout begins is not known: materialise {model.name}/dataset for them"
        )
    begin = min(starts)
    return begin if begin.tzinfo is None else begin.tz_convert("UTC").tz_localize(None)


@lru_cache(maxsize=4)
def _rows(
    storage: Storage,
    model: str,
    columns: _Columns,
    batches: tuple[BatchInfo, ...],
    known_by: pd.Timestamp | None,
    problem: str | None,
) -> Rows:
    later: dict[str, int] = {}

    def labels_of(batch: BatchInfo) -> pd.Series:
        beside = columns.about[:1] if columns.outcomes else ()  # any column gives the number of rows
        labels, known_at = _about_of(storage, model, replace(columns, about=beside), batch)
        target = labels[columns.target]
        known = _known(target, known_at, known_by)
        later[batch.key] = int(target.notna().sum() - known.sum())
        return target.where(known)

    draws = draw(batches, labels_of, problem)
    positions = {key: taken for drawn in draws for key, taken in drawn.positions.items()}

    def read(batch: BatchInfo) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
        taken, features_version = positions.get(batch.key), batch.version.split("-")[1]
        about, known_at = _about_of(storage, model, columns, batch, taken)
        return storage.read_frame(model, FEATURES, batch.key, features_version, rows=taken), about, known_at

    # A sample is drawn where memory is short: then one batch is read at a time.
    at_once = 1 if draws or is_local(storage.root) else AT_ONCE
    features, abouts, moments = map(list, zip(*reads_in_order(read, batches, at_once=at_once), strict=True))
    ordinal = np.repeat(np.arange(len(batches)), [len(frame) for frame in features])
    X, about = pd.concat(features, ignore_index=True), pd.concat(abouts, ignore_index=True)
    known_at = pd.concat(moments, ignore_index=True)
    features.clear()  # the rows are in memory once, and twice below
    known = _known(about[columns.target], known_at, known_by)
    later_here = int(about[columns.target].notna().sum() - known.sum())
    kept = np.flatnonzero(known)
    if columns.time:  # batches may touch; folds need batch ordinals that never decrease, so time orders within a batch
        kept = kept[time_order(about[columns.time].iloc[kept], ordinal[kept])]
    X, about = (frame.iloc[kept].reset_index(drop=True) for frame in (X, about))
    y = about.pop(columns.target)  # booleans with gaps have dtype object; the rows without a label are gone by now
    known_later = later_here + sum(later.values())
    return Rows(X, y.infer_objects(), ordinal[kept], about=about, known_later=known_later, drawn=draws)


def _about_of(
    storage: Storage, model: str, columns: _Columns, batch: BatchInfo, rows: np.ndarray | None = None
) -> tuple[pd.DataFrame, pd.Series]:
    """Read as `_about`, at the versions of a manifest's batch."""
    version, _, *labels = batch.version.split("-")
    return _about(storage, model, columns, batch.key, version, labels[0] if labels else None, rows)


def _known(target: pd.Series, known_at: pd.Series, known_by: pd.Timestamp | None) -> np.ndarray:
    """Return which rows (n,) have a label that was known by a moment; at any time without one."""
    labelled: np.ndarray = target.notna().to_numpy()
    return labelled if known_by is None else labelled & (known_at <= known_by).to_numpy()
