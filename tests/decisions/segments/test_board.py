"""The board: who comes first, and what is said of a segment."""

import pandas as pd

from mlops_assets.decisions.segments.board import board
from mlops_assets.decisions.segments.window import newest_rows, share_with


def models(**changes):
    """Ten segments with models of their own, and what differs: {segment: {column: value}}."""
    names = [f"s{number}" for number in range(10)]
    table = pd.DataFrame({"segment": names, "model": "own", "tried": True, "failed": False, "kept_for": 0})
    table = table.set_index("segment")
    for name, values in changes.items():
        for column, value in values.items():
            table.loc[name, column] = value
    return table.reset_index()


def found(**alarms):
    """A table of decay or drift with these alarms: {segment: p}."""
    names = [f"s{number}" for number in range(10)]
    table = pd.DataFrame({"segment": names, "rows": 50, "ratio": 1.0, "adjusted": 0.9, "alarm": False, "since": ""})
    table = table.set_index("segment")
    for name, p in alarms.items():
        table.loc[name, ["adjusted", "alarm", "since", "ratio"]] = [p, True, "b7", 2.0]
    return table.reset_index()


def test_the_most_urgent_come_first():
    few = {"tried": False, "model": "pooled"}
    table = board(
        models(s1=few, s2={"kept_for": 7}, s3={"failed": True, "model": "pooled"}, s8={"kept_for": 4}),
        found(s4=0.01, s5=0.001, s6=0.02),
        found(s6=0.03, s7=0.001),
    )
    assert table["segment"].tolist() == ["s6", "s5", "s4", "s7", "s3", "s2", "s1"]
    needs = ["decay and drift", "decay", "decay", "drift", "failed fit", "old model", "few rows"]
    assert table["need"].tolist() == needs
    assert table["since"].tolist() == ["b7"] * 4 + [""] * 3
    assert table["p"].tolist()[:4] == [0.02, 0.001, 0.01, 0.001] and table["p"][4:].isna().all()
    assert table["kept_for"].tolist() == [0, 0, 0, 0, 0, 7, 0] and (table["rows"] == 50).all()
    assert (table["what_to_do"].str.len() > 20).all()


def test_a_segment_that_the_champion_has_never_seen_is_listed_with_the_pooled_model():
    table = board(models(), None, found(s1=0.01).replace({"segment": {"s1": "new"}}))
    assert table[["segment", "need", "model"]].to_numpy().tolist() == [["new", "drift", "pooled"]]


def test_without_batches_only_the_models_count():
    assert board(models(), None, None).empty
    assert board(models(s3={"failed": True}), None, None)["segment"].tolist() == ["s3"]


def test_the_newest_rows_are_those_of_as_few_batches_as_needed():
    segment, age = [0] * 6 + [1] * 6, [2, 2, 1, 1, 0, 0] * 2
    segment = pd.Series(segment).to_numpy()
    kept = newest_rows(segment, pd.Series(age).to_numpy(), 2, 3)
    assert kept.tolist() == [False, False, True, True, True, True] * 2
    assert newest_rows(segment, pd.Series(age).to_numpy(), 2, 2).sum() == 4
    assert share_with(segment, 3, 6) == 1.0 and share_with(segment[:7], 2, 6) == 0.5
