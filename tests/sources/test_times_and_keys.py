import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets.errors import SourceError
from mlops_assets.sources import Waiting
from mlops_assets.sources.data_version import data_version
from mlops_assets.sources.keys import is_safe, safe_key
from mlops_assets.sources.periods import period_key, period_span, ready_periods
from mlops_assets.sources.times import parse_times
from mlops_assets.text import natural_order

LATE = pd.Timestamp("2010-12-31 23:59")


@pytest.mark.fault(21)
@pytest.mark.parametrize("name", ["../x", "a\nb", "n" * 300, "-rf", ".hidden", "\u0430", "a b", "", "x/y", "a\n"])
def test_unsafe_names_get_a_safe_key_of_their_own(name):
    assert not is_safe(name)
    assert is_safe(safe_key(name))


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(), max_size=150), st.text(st.characters(), max_size=150))
def test_keys_are_safe_and_tell_names_apart(one, other):
    assert is_safe(safe_key(one))
    assert (safe_key(one) == safe_key(other)) == (one == other)


def test_safe_names_stay_as_they_are():
    assert safe_key("2011-01_b.2") == "2011-01_b.2"


def test_natural_order_counts():
    assert sorted(["b-10", "b-2", "a"], key=natural_order) == ["a", "b-2", "b-10"]


@pytest.mark.parametrize(
    ("period", "key", "end"),
    [
        ("day", "2010-12-31", "2011-01-01"),
        ("week", "2010-W52", "2011-01-03"),
        ("month", "2010-12", "2011-01-01"),
        ("quarter", "2010-Q4", "2011-01-01"),
        ("year", "2010", "2011-01-01"),
    ],
)
def test_periods(period, key, end):
    assert period_key(LATE, period) == key
    start, after = period_span(key, period)
    assert start <= LATE < after == pd.Timestamp(end)
    assert period_key(start, period) == key


def test_a_period_is_over_when_a_later_one_began_or_its_end_has_passed():
    marks = {"2011-02": "b", "2011-01": "a"}
    waiting = (Waiting("2011-02", "period not over"),)
    assert ready_periods(marks, "month", pd.Timestamp("2011-02-28")) == ({"2011-01": "a"}, waiting)
    ready, waiting = ready_periods(marks, "month", pd.Timestamp("2011-03-01"))
    assert (list(ready.items()), waiting) == ([("2011-01", "a"), ("2011-02", "b")], ())


def test_a_row_in_the_far_future_ends_no_other_period():
    ready, waiting = ready_periods({"2011-02": "a", "2099-01": "b"}, "month", pd.Timestamp("2011-02-10"))
    assert (ready, [period.name for period in waiting]) == ({"2099-01": "b"}, ["2011-02"])


def test_data_version_follows_content_and_order_only():
    frame = pd.DataFrame({"x": [1.0, None], "s": ["a", "b"]})
    version = data_version(frame)
    assert len(version) == 16
    assert data_version(frame.set_axis([7, 9])) == version
    assert data_version(frame.astype({"s": object})) == version
    others = [frame[["s", "x"]], frame.iloc[::-1], frame.rename(columns={"x": "y"}), frame.head(0), frame.fillna(0.0)]
    assert len({version, *map(data_version, others)}) == 6


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["2011-01-02", "2011-01-03 05:00"], "2011-01-03 05:00"),
        ([20110102, 20110103], "2011-01-03"),
        (["2011-03-27T01:00+01:00", "2011-03-27T03:00+02:00"], "2011-03-27 01:00+00:00"),
    ],
)
def test_times_are_parsed(values, expected):
    assert parse_times(pd.Series(values)).iloc[1] == pd.Timestamp(expected)


@pytest.mark.parametrize(
    "values",
    [
        ["2011-01-02", "soon"],
        ["2011-01-02", "now"],
        ["today"],
        ["10", "11"],
        [1.5],
        [1_300_000_000],
        ["13/02/2011", "x"],
    ],
)
def test_what_is_no_time_is_named(values):
    with pytest.raises(SourceError, match=r"column 't' holds .* in data row \d, which is not a time"):
        parse_times(pd.Series(values, name="t"))
