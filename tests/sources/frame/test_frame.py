import pandas as pd
import pytest

from mlops_assets.errors import DeclarationError, SourceError
from mlops_assets.sources import Frame, Limits
from mlops_assets.sources.data_version import data_version

WEEKS = pd.DataFrame({"week": pd.date_range("2010-12-20", periods=4, freq="7D"), "co2": [1.0, None, 3.0, 4.0]})
NOW = pd.Timestamp("2011-01-20")


def weeks():
    return WEEKS


def parts():
    yield "one", WEEKS.head(2)
    yield "two", WEEKS.tail(2).astype({"week": str})


def broken():
    raise ValueError("cannot reach postgresql://me:secret@db/x")


def test_one_frame_is_divided_by_period():
    source = Frame(weeks, period="year").with_time("week")
    look = source.look(now=NOW)
    assert list(look.ready) == ["2010"]
    assert [(waiting.name, waiting.reason) for waiting in look.waiting] == [("2011", "period not over")]
    assert look.ready["2010"] == data_version(source.read("2010"))
    assert source.read("2011")["co2"].tolist() == [3.0, 4.0]


def test_batches_are_yielded_with_their_keys_by_a_named_callable():
    source = Frame(f"{__name__}:parts", time="week")
    assert list(source.look().ready) == ["one", "two"]
    assert source.read("two")["week"].tolist() == WEEKS["week"].tail(2).tolist()


def test_a_failing_callable_is_named_without_its_secrets():
    with pytest.raises(
        SourceError, match=r"broken'.* raised ValueError: cannot reach .*\*\*\*@db.*broken, line"
    ) as raised:
        Frame(broken).look()
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("load", "options", "match"),
    [
        (weeks, {}, "returned a DataFrame; expected pairs"),
        (lambda: None, {}, "returned a NoneType; expected pairs"),
        (lambda: [WEEKS], {}, "yielded DataFrame; expected pairs"),
        (lambda: None, {"period": "day", "time": "week"}, "returned a NoneType; expected a DataFrame"),
        (weeks, {"period": "day", "time": "weeks"}, r"has no column 'weeks'; found \['week', 'co2'\]"),
        (lambda: WEEKS.set_index("week"), {"period": "day", "time": "week"}, "call reset_index"),
        (weeks, {"period": "day", "time": "week", "limits": Limits(max_rows=3)}, "has 4 rows; expected at most 3"),
    ],
)
def test_what_cannot_be_divided_is_named(load, options, match):
    with pytest.raises(SourceError, match=match):
        Frame(load, **options).look()


def test_one_bad_batch_holds_up_no_other():
    source = Frame(lambda: iter([("../x", WEEKS), ("good", WEEKS), ("good", WEEKS)]), limits=Limits(max_rows=4))
    look = source.look()
    bad, good = look.ready
    assert (good, look.waiting[0].name) == ("good", "good")
    with pytest.raises(SourceError, match=r"key '../x' is unsafe"):
        source.read(bad)
    assert len(source.read("good")) == 4
    with pytest.raises(SourceError, match="batch 'gone': the callable no longer gives it"):
        source.read("gone")


def test_source_and_batch_begin_the_message_and_a_full_stop_ends_it():
    source = Frame(lambda: iter([("one", WEEKS.assign(week="soon"))]), time="week")
    with pytest.raises(SourceError) as raised:
        source.read("one")
    assert str(raised.value).startswith(f"{source.title}: batch 'one': column 'week' holds 'soon' in data row 1")
    assert str(raised.value).endswith("Correct the values.")
    with pytest.raises(DeclarationError, match=r"': period='day' needs time, the column .* the model's time\.$"):
        Frame(weeks, period="day").look()


@pytest.mark.parametrize("name", ["no.such:thing", "os.path", "nothing"])
def test_a_name_that_is_no_function_is_a_declaration_error(name):
    with pytest.raises(DeclarationError, match=name):
        Frame(name).look()


def test_declaring_by_name_imports_nothing():
    source = Frame("no.such:thing", period="day", time="t")
    assert source.describe() == "Frame 'no.such:thing': all rows of one day of 't' are a batch."
