"""What pandas, pyarrow and databases bring is accepted, stored and fitted, or rejected with column, row, remedy."""

from pathlib import Path

import pandas as pd
import pytest

from mlops_assets.checks import reasons
from mlops_assets.modelling.fitting.estimators import build
from mlops_assets.sources import Folder, Frame
from mlops_assets.sources.data_version import data_version
from mlops_assets.validation.plain_columns import plain_columns
from mlops_assets.validation.schema import kind_of, normalise, schema_of
from support.types_of_columns import (
    HOURS,
    NOT_PARQUET,
    PLAIN,
    ROLES,
    ROWS,
    TYPES,
    a_batch,
    fits,
    judged,
    read_back,
    with_gaps,
)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("kind", TYPES)
def test_a_batch_is_accepted_and_fitted_or_rejected_with_a_reason(kind, gaps, role):
    make, expected = TYPES[kind]
    column = with_gaps(make()) if gaps else make()
    frame = a_batch(role, column)
    assert data_version(frame) == data_version(a_batch(role, with_gaps(make()) if gaps else make()))
    rows, outcomes = judged(frame, None, role)
    refused = "; ".join(reasons(outcomes))
    read_back(rows.astype(str))  # rejected rows are kept as text
    if role == "dropped":
        assert not refused, refused
        assert ("dropped" in rows) == (expected is not None or kind == "1e299")
        rows = rows.drop(columns="dropped", errors="ignore")
    elif expected is None and role != "extra":
        assert repr(role) in refused and "row" in refused, refused
    if refused:
        return
    assert set(map(str, rows.dtypes)) <= PLAIN
    assert role == "dropped" or expected is None or kind_of(rows[role]) == expected
    stored = read_back(rows)
    assert data_version(stored) == data_version(rows)
    if role in ("feature", "target"):
        fits(stored, role, kinds=2 if gaps else 1)


def test_later_batches_are_brought_to_the_kinds_of_the_first():
    first = pd.DataFrame({"flag": [True, False], "seen": HOURS[:2], "n": [1, 2], "colour": ["a", "b"]})
    schema = schema_of(plain_columns(first)[0])
    later = pd.DataFrame(
        {
            "flag": pd.Series([1, None], dtype="Int64"),
            "seen": ["2024-01-03T00:00:00Z", "2024-01-03T02:00:00+02:00"],
            "n": ["1234567890123456789012", "7"],
            "colour": pd.Series(["a", None], dtype="string"),
        }
    )
    rows = normalise(plain_columns(later)[0], schema)
    assert rows["flag"].tolist()[0] is True and rows["flag"].isna().tolist() == [False, True]
    assert rows["seen"].tolist() == [pd.Timestamp("2024-01-03")] * 2 and rows["seen"].dt.tz is None
    assert rows["n"].tolist() == [1234567890123456789012.0, 7.0]
    assert rows["colour"].tolist()[0] == "a" and isinstance(rows["colour"].tolist()[1], float)


def test_a_boolean_feature_with_gaps_in_one_batch_only_trains_and_scores_both():
    X = pd.DataFrame({"flag": pd.Series([True, False, None, True] * 10, dtype=object), "x": range(40)})
    model = build("sklearn.linear_model.LogisticRegression", {}, X, "binary", 0).fit(X, [0, 1] * 20)
    whole = pd.DataFrame({"flag": [True, False], "x": [1, 2]})
    assert len(model.predict(whole)) == len(model.predict(whole.astype({"flag": object}))) == 2


@pytest.mark.parametrize("kind", [name for name in TYPES if name not in NOT_PARQUET])
def test_a_folder_of_parquet_gives_what_is_taken_or_refused(kind, tmp_path: Path):
    make, expected = TYPES[kind]
    a_batch("feature", make()).to_parquet(tmp_path / "one.parquet", index=False)
    rows, outcomes = judged(Folder(f"{tmp_path}/*.parquet").read("one"), None, "feature")
    assert bool(reasons(outcomes)) == (expected in (None, "null")), reasons(outcomes)
    assert data_version(read_back(rows.astype(str)))


@pytest.mark.parametrize("kind", TYPES)
def test_a_frame_of_any_type_has_the_same_mark_at_each_look(kind):
    make, _ = TYPES[kind]
    source = Frame(lambda: iter([("one", a_batch("feature", make()))]))
    assert source.look().ready == source.look().ready
    assert source.read("one").shape == (ROWS, 5)
