"""Labels follow from the rows and all accepted outcomes, whoever comes first and whatever comes in between."""

import shutil
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets import Folder, ModelPipeline
from mlops_assets.assets.training.training_set import split
from mlops_assets.errors import TrainingError
from mlops_assets.records.batches import BatchLedger, BatchRecord
from mlops_assets.records.labels import (
    refresh_labels,
    unusable_outcomes,
    waits_for_labels,
)
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.outcome_frames import tidy
from mlops_assets.records.outcomes import OutcomesLedger, OutcomesRecord
from mlops_assets.records.rows import read_holdout, read_labelled, read_train
from mlops_assets.records.store import RecordStore
from mlops_assets.resources.storage import Storage
from mlops_assets.sources.data_version import data_version
from mlops_assets.text import natural_order
from mlops_assets.validation.schema import Schema

FIRST = pd.Timestamp("2024-01-01")


def model(**declared: Any) -> ModelPipeline:
    ordinary = {
        "source": Folder("rows/*.csv"),
        "outcomes": Folder("outcomes/*.csv"),
        "key": ["id"],
        "time": "day",
        "target": "y",
        "estimator": "sklearn.linear_model.Ridge",
        "holdout": 1,
    }
    return ModelPipeline(name="late", **{**ordinary, **declared})


def rows(ids: list[Any], day: int = 0) -> pd.DataFrame:
    days = FIRST + pd.to_timedelta(day * 24 * 60 + np.arange(len(ids)), unit="min")
    return pd.DataFrame({"id": ids, "day": days.astype("datetime64[us]"), "x": np.arange(len(ids), dtype=float)})


def put_rows(storage: Storage, late: ModelPipeline, batch: str, frame: pd.DataFrame) -> None:
    """What a run of dataset and features does, in its order."""
    version = data_version(frame)
    storage.write_frame(late.name, "dataset", batch, version, frame)
    ledger, (start, end) = BatchLedger(storage, late.name), (frame["day"].min(), frame["day"].max())
    times = {"start": start.isoformat(), "end": end.isoformat()}
    ledger.put(BatchRecord(batch, "accepted", "run", version=version, rows=len(frame), **times))
    refresh_labels(ModelRecords(late, storage), [batch])
    features = frame[["x"]]
    storage.write_frame(late.name, "features", batch, data_version(features), features)
    ledger.put_features(ledger.accepted(batch), data_version(features), late.features_version)


def put_outcomes(storage: Storage, late: ModelPipeline, batch: str, frame: pd.DataFrame) -> None:
    """What a run of outcomes does, in its order."""
    labels = tidy(frame, Schema({}), late.key, late.target, late.known_at)
    version = data_version(labels)
    storage.write_frame(late.name, "outcomes", batch, version, labels)
    OutcomesLedger(storage, late.name).put(OutcomesRecord(batch, "accepted", "run", version=version, rows=len(labels)))
    refresh_labels(ModelRecords(late, storage))


def outcomes(**labels: Any) -> pd.DataFrame:
    return pd.DataFrame({"id": [int(each[1:]) for each in labels], "y": list(labels.values())})


def labels_of(storage: Storage, batch: str) -> list[float]:
    """The labels that the ledger's record points to."""
    record = BatchLedger(storage, "late").accepted(batch)
    assert record.labels is not None
    return ModelRecords(model(), storage).read_frame("labels", batch, record.labels)["label"].tolist()


@pytest.fixture
def storage(tmp_path) -> Storage:
    return Storage(root=str(tmp_path))


NAN = pytest.approx(float("nan"), nan_ok=True)


def test_labels_fill_in_as_outcomes_come_and_the_share_that_waits_is_told(storage):
    late = model()
    put_rows(storage, late, "a", rows([1, 2, 3]))
    ledger = BatchLedger(storage, "late")
    before = ledger.accepted("a")
    assert (before.labelled, labels_of(storage, "a")) == (0, [NAN, NAN, NAN])
    assert waits_for_labels(late, before) == "waiting: 0% of its rows have labels, 80% are needed"
    put_outcomes(storage, late, "o1", outcomes(r3=0.3, r1=0.1, r9=0.9))
    some = ledger.accepted("a")
    assert (some.labelled, labels_of(storage, "a")) == (2, [0.1, NAN, 0.3])
    assert waits_for_labels(late, some) == "waiting: 66% of its rows have labels, 80% are needed"
    put_outcomes(storage, late, "o2", outcomes(r2=0.2))
    full = ledger.accepted("a")
    assert (full.labelled, labels_of(storage, "a"), waits_for_labels(late, full)) == (3, [0.1, 0.2, 0.3], None)
    assert len({before.identity, some.identity, full.identity}) == 3
    assert before.version == full.version


def test_outcomes_may_come_before_their_rows(storage):
    put_outcomes(storage, model(), "o", outcomes(r1=0.1, r2=0.2))
    put_rows(storage, model(), "a", rows([2, 1]))
    assert labels_of(storage, "a") == [0.2, 0.1]


def test_what_does_not_change_the_labels_of_a_batch_leaves_its_identity_alone(storage):
    put_rows(storage, model(), "a", rows([1]))
    put_outcomes(storage, model(), "o1", outcomes(r1=0.1))
    before = BatchLedger(storage, "late").accepted("a").identity
    put_outcomes(storage, model(), "o2", outcomes(r7=0.7))
    assert BatchLedger(storage, "late").accepted("a").identity == before
    assert refresh_labels(ModelRecords(model(), storage)) == []


def test_of_several_labels_the_one_known_latest_counts_in_whichever_order_they_come(storage):
    late = model(known_at="seen")
    early = outcomes(r1=1.0, r2=1.0).assign(seen=["2024-02-01", "2024-02-01"])
    latest = outcomes(r1=2.0, r2=2.0).assign(seen=["2024-03-01", None])
    put_rows(storage, late, "a", rows([1, 2]))
    put_outcomes(storage, late, "o10", latest)
    put_outcomes(storage, late, "o9", early)
    assert labels_of(storage, "a") == [2.0, 1.0]


def test_of_labels_that_do_not_say_when_the_later_batch_counts(storage):
    put_rows(storage, model(), "a", rows([1]))
    put_outcomes(storage, model(), "o10", outcomes(r1=10.0))
    put_outcomes(storage, model(), "o9", outcomes(r1=9.0))
    assert labels_of(storage, "a") == [10.0]


def test_outcomes_that_are_replaced_or_rejected_change_what_was_complete(storage):
    put_rows(storage, model(), "a", rows([1, 2]))
    put_outcomes(storage, model(), "o", outcomes(r1=0.1, r2=0.2))
    put_outcomes(storage, model(), "o", outcomes(r1=0.1, r2=0.5))
    assert labels_of(storage, "a") == [0.1, 0.5]
    OutcomesLedger(storage, "late").put(OutcomesRecord("o", "rejected", "run", reasons=("bad",), mark="m"))
    assert refresh_labels(ModelRecords(model(), storage)) == ["a"]
    assert labels_of(storage, "a") == [NAN, NAN]
    assert OutcomesLedger(storage, "late").marks() == {"o": "m"}


def test_rows_that_are_replaced_are_joined_anew(storage):
    put_outcomes(storage, model(), "o", outcomes(r1=0.1, r2=0.2, r3=0.3))
    put_rows(storage, model(), "a", rows([1, 2]))
    put_rows(storage, model(), "a", rows([3, 2, 1]))
    assert (BatchLedger(storage, "late").accepted("a").labelled, labels_of(storage, "a")) == (3, [0.3, 0.2, 0.1])


KEYS = {
    "numbers as text": ([7, 8], ["007", "8"]),
    "integers and floats": ([7, 8], [7.0, 8.0]),
    "floats and integers": ([7.0, 8.5], [7, 8.5]),
    "large integers": ([2**60 + 1, 2**60 + 2], [2**60 + 1, 2**60 + 2]),
    "large numbers as text": ([2**60 + 1, 5], [str(2**60 + 1), "5"]),
    "text": (["007", "b"], ["007", "b"]),
    "times and text": (pd.to_datetime(["2024-01-01", "2024-01-02"]), ["2024-01-01", "2024-01-02"]),
    "zones": (
        pd.to_datetime(["2024-01-01T12:00", "2024-01-02T00:00"]),
        ["2024-01-01T14:00+02:00", "2024-01-02T00:00Z"],
    ),
    "categories": (["x", "y"], pd.Categorical(["x", "y"])),
    "truths": ([True, False], [True, False]),
}


@pytest.mark.parametrize(("ours", "theirs"), KEYS.values(), ids=KEYS)
def test_keys_match_whatever_dtype_each_side_has(storage, ours, theirs):
    put_outcomes(storage, model(), "o", pd.DataFrame({"id": theirs, "y": [0.1, 0.2]}))
    put_rows(storage, model(), "a", rows([1, 2]).assign(id=ours))
    assert labels_of(storage, "a") == [0.1, 0.2]


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (["007", "008"], [7, 8], "key 'id' holds number, such as 7, and text in the rows: none could match"),
        (pd.to_datetime(["2024-01-01", "2024-01-02"]), ["soon", "late"], "key 'id' of the outcomes column 'id' holds"),
        ([1, 2], ["a", "b"], "key 'id' holds text, such as 'a', and number in the rows"),
    ],
)
def test_keys_that_cannot_match_are_named_and_hold_up_nothing(storage, ours, theirs, said):
    put_outcomes(storage, model(), "o", pd.DataFrame({"id": theirs, "y": [0.1, 0.2]}))
    put_rows(storage, model(), "a", rows([1, 2]).assign(id=ours))
    assert labels_of(storage, "a") == [NAN, NAN]
    assert said in unusable_outcomes(ModelRecords(model(), storage), "a")["o"]


def test_several_key_columns_and_text_labels(storage):
    late = model(key=["shop", "id"])
    frame = rows([1, 2, 1]).assign(shop=["a", "a", "b"])
    put_rows(storage, late, "a", frame)
    told = pd.DataFrame({"shop": ["b", "a"], "id": [1, 1], "y": ["no", "yes"]})
    put_outcomes(storage, late, "o", told)
    assert labels_of(storage, "a") == ["yes", None, "no"] or labels_of(storage, "a") == ["yes", NAN, "no"]


def test_labels_of_known_moment_are_kept_whole(storage):
    late = model(known_at="seen")
    put_rows(storage, late, "a", rows([1, 2, 3]))
    put_outcomes(storage, late, "o", outcomes(r1=1, r2=2).assign(seen=["2024-01-05T02:00+02:00", None]))
    record = BatchLedger(storage, "late").accepted("a")
    known_at = ModelRecords(model(), storage).read_frame("labels", "a", str(record.labels))["known_at"]
    assert str(known_at.dtype) == "datetime64[us]"
    assert known_at.iloc[0] == pd.Timestamp("2024-01-05")
    assert known_at.iloc[1:].isna().all()


class Interrupted:
    """At the n-th access to files or records, another writer does all of its work first."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.accesses, self.at, self.other = 0, 0, lambda: None
        for owner, name in (
            (Storage, "_place"),
            *((RecordStore, each) for each in ("get", "revision", "since", "transaction")),
        ):
            monkeypatch.setattr(owner, name, self._interrupting(getattr(owner, name)))

    def _interrupting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def interrupted(*args: Any, **options: Any) -> Any:
            self.accesses += 1
            if self.accesses == self.at:
                self.other()
            return original(*args, **options)

        return interrupted


WRITERS: dict[str, Callable[[Storage], None]] = {
    "rows": lambda storage: put_rows(storage, model(), "a", rows([1, 2])),
    "other rows": lambda storage: put_rows(storage, model(), "a", rows([2, 3])),
    "outcomes": lambda storage: put_outcomes(storage, model(), "o1", outcomes(r1=0.1, r2=0.2, r3=0.3)),
    "corrected": lambda storage: put_outcomes(storage, model(), "o2", outcomes(r1=1.0, r2=2.0, r3=3.0)),
}


@pytest.mark.parametrize(
    ("before", "one", "other", "expected"),
    [
        ([], "rows", "outcomes", {(0.1, 0.2)}),
        ([], "outcomes", "rows", {(0.1, 0.2)}),
        (["rows"], "outcomes", "corrected", {(1.0, 2.0)}),
        (["rows"], "corrected", "outcomes", {(1.0, 2.0)}),
        (["rows", "outcomes"], "corrected", "other rows", {(2.0, 3.0)}),
        (["rows", "outcomes"], "other rows", "corrected", {(2.0, 3.0)}),
    ],
)
def test_writers_that_come_between_one_another_leave_the_latest_labels(
    tmp_path, before, one, other, expected, monkeypatch
):
    """At every access to files and records that one step makes, the other step does all of its work."""
    at, found, between = 1, set(), Interrupted(monkeypatch)
    while True:
        storage = Storage(root=str(tmp_path / str(at)))
        for writer in before:
            WRITERS[writer](storage)
        between.accesses, between.at, between.other = 0, at, partial(WRITERS[other], storage)
        WRITERS[one](storage)
        between.at = 0
        if between.accesses < at:
            break
        found.add(tuple(labels_of(storage, "a")))
        at += 1
    assert found == expected
    assert at > 6


def known_from(arrived: dict[str, dict[int, tuple[float, int | None]]]) -> dict[int, tuple[float, int | None]]:
    """By the words of the rule: of all labels that arrived for a key, the one known latest, else that of the later
    batch."""
    found: dict[int, tuple[float, int | None]] = {}
    for batch in sorted(arrived, key=natural_order):
        for row, (label, day) in arrived[batch].items():
            before = found.get(row)
            if before is None or (-1 if day is None else day) >= (-1 if before[1] is None else before[1]):
                found[row] = (label, day)
    return found


IDS = st.integers(0, 11)
LABELS = st.dictionaries(
    IDS, st.tuples(st.sampled_from([0.0, 1.0, 2.0]), st.none() | st.integers(0, 9)), min_size=1, max_size=12
)
EVENTS = st.lists(
    st.one_of(st.tuples(st.just("rows"), st.integers(0, 2)), st.tuples(st.integers(0, 3), LABELS)),
    min_size=3,
    max_size=9,
)


@pytest.mark.promise(4)
@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(events=EVENTS)
def test_a_label_known_only_later_is_never_used_earlier(tmp_path_factory, events):
    """Three batches of rows (one a day, four rows each) and outcomes in any order, corrected and replaced."""
    late = model(known_at="seen", label_share=0.25)
    storage = Storage(root=str(tmp_path_factory.mktemp("labels")))
    arrived: dict[str, dict[int, tuple[float, int | None]]] = {}
    manifests = []
    for what, content in events:
        if what == "rows":
            put_rows(storage, late, f"b{content}", rows(list(range(4 * content, 4 * content + 4)), day=content))
        else:
            arrived[f"o{what}"] = content
            days = [None if day is None else FIRST + pd.Timedelta(days=day) for _, day in content.values()]
            told = {"id": list(content), "y": [label for label, _ in content.values()], "seen": pd.to_datetime(days)}
            put_outcomes(storage, late, f"o{what}", pd.DataFrame(told))
        known = known_from(arrived)
        ledger = BatchLedger(storage, late.name)
        for record in ledger.all():
            y = read_labelled(ModelRecords(late, storage), record).y
            first = 4 * int(record.batch[1:])
            assert y.tolist() == [known[row][0] if row in known else NAN for row in range(first, first + 4)]
        try:
            manifest = split(ModelRecords(late, storage), None)
        except TrainingError:
            continue
        train, holdout = (read(ModelRecords(late, storage), manifest) for read in (read_train, read_holdout))
        begin = manifest.holdout[0].start
        for row, label in zip(train.about["id"], train.y, strict=True):
            assert known[row][0] == label
            assert known[row][1] is not None and FIRST + pd.Timedelta(days=known[row][1]) <= begin
        assert [known[row][0] for row in holdout.about["id"]] == holdout.y.tolist()
        manifests.append((manifest, train.y.tolist(), train.known_later, holdout.y.tolist()))
    copy = tmp_path_factory.mktemp("labels") / "copy"  # no process has read from it
    shutil.copytree(storage.root, copy)
    anew = ModelRecords(late, Storage(root=str(copy)))
    for manifest, train, later, holdout in manifests:  # what came afterwards has changed nothing
        again = read_train(anew, manifest)
        assert (again.y.tolist(), again.known_later) == (train, later)
        assert read_holdout(anew, manifest).y.tolist() == holdout
