"""The contract fails each bad batch with a message that names what, where and how much, and never crashes."""

import numpy as np
import pandas as pd
import pytest

from mlops_assets.checks import CheckOutcome, reasons
from mlops_assets.validation.contract import CONTRACT, contract_checks
from mlops_assets.validation.schema import schema_of

NOW = pd.Timestamp("2024-03-01")


def batch(**columns):
    base = {
        "id": [1, 2, 3],
        "day": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"]),
        "price": [1.5, 2.0, None],
        "color": ["red", "blue", "red"],
        "y": [0, 1, 0],
    }
    return pd.DataFrame({name: value for name, value in (base | columns).items() if value is not ...})


SCHEMA = schema_of(batch())


def judged(frame, schema=SCHEMA, target="y", key=("id",), time="day", **options) -> dict[str, CheckOutcome]:
    outcomes = contract_checks(frame, schema, target, key, time, now=NOW, **options)
    assert tuple(outcome.name for outcome in outcomes) == CONTRACT
    assert all(outcome.blocking and outcome.severity == "error" and outcome.message for outcome in outcomes)
    return {outcome.name: outcome for outcome in outcomes}


def failed(found: dict[str, CheckOutcome]) -> set[str]:
    return {name for name, outcome in found.items() if not outcome.passed}


@pytest.mark.parametrize("schema", [SCHEMA, None])
def test_a_good_batch_passes_every_check(schema):
    found = judged(batch(), schema)
    assert failed(found) == set()
    assert found["row_count"].metadata == {"rows": 3}
    assert found["time_valid"].metadata["last"] == "2024-01-03T00:00:00+00:00"


@pytest.mark.fault(2)
def test_no_rows_fail_everything_that_looks_at_rows():
    found = judged(batch().iloc[:0])
    assert failed(found) == set(CONTRACT) - {"columns"}
    assert found["row_count"].message == "0 rows; expected at least 1"
    assert found["key_unique"].message == "not checked: the batch has no rows"


def test_no_columns_at_all_fail_without_a_crash():
    assert "row_count" in failed(judged(pd.DataFrame(), schema=None))


@pytest.mark.fault(6)
def test_a_missing_column_is_named_and_later_checks_say_that_they_could_not_look():
    found = judged(batch(price=..., id=..., day=...))
    assert found["columns"].message.startswith("missing: 'id', 'day', 'price'; the batch has 'color', 'y'")
    assert found["key_unique"].message == "not checked: column missing: 'id'"
    assert found["time_valid"].message == "not checked: column missing: 'day'"
    assert failed(found) == set(CONTRACT) - {"row_count"}


@pytest.mark.fault(7)
def test_extra_columns_are_accepted_or_rejected_as_declared():
    assert "1 more accepted: 'new'" in judged(batch(new=1))["columns"].message
    assert "not expected: 'new'" in judged(batch(new=1), extra_columns="reject")["columns"].message
    # An accepted column is not part of the contract: its values hold up nothing.
    assert failed(judged(batch(new=np.inf))) == set()


@pytest.mark.fault(7)
def test_the_order_of_columns_does_not_matter():
    assert failed(judged(batch()[["y", "color", "price", "day", "id"]])) == set()


def test_a_column_that_appears_twice_fails():
    frame = pd.concat([batch(), batch()[["price"]]], axis=1)
    assert judged(frame)["columns"].message == "more than once: 'price'"


@pytest.mark.fault(12)
def test_text_in_a_number_column_fails_with_the_value_and_its_row():
    found = judged(batch(price=["1.5", "n/a\n", "2"]))
    assert failed(found) == {"dtypes"}
    assert found["dtypes"].message == "'price': expected number, got text: 'n/a\\n' (row 2)"


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("price", ["1.5", "2", None], None),  # numbers written as text, which `normalise` reads
        ("price", [1, 2, 3], None),
        ("price", [True, False, True], "'price': expected number, got boolean"),
        ("color", [1, 2, 3], "'color': expected text, got number: 1 (row 1)"),
        ("color", [1, "red", "blue"], "'color': several types in one column"),
        ("color", pd.Categorical(["red", "new", "blue"]), None),
        ("price", [[1], [2], [3]], "'price': several types in one column, or values that are not plain: 'list'"),
    ],
)
def test_types_are_compared_by_kind(column, values, message):
    outcome = judged(batch(**{column: values}))["dtypes"]
    assert outcome.passed == (message is None)
    assert message is None or outcome.message.startswith(message)


@pytest.mark.fault(8)
def test_an_all_null_column_fails_but_labels_may_come_later():
    found = judged(batch(price=[None] * 3, y=[None] * 3))
    assert failed(found) == {"non_null"}
    assert found["non_null"].message == "all values missing: 'price' (100.0%)"
    assert found["non_null"].metadata["label_missing_share"] == 1.0
    assert failed(judged(batch(price=[None] * 3), schema=None)) == {"non_null"}


@pytest.mark.fault(10)
@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e308, 1e299])
def test_infinite_values_fail_in_features_and_label(value):
    found = judged(batch(price=[1.0, value, None], y=[0, 1, value]))
    assert failed(found) == {"finite"}
    assert "'price': infinite or 1e+150 and beyond: " in found["finite"].message
    assert "(row 2)" in found["finite"].message and "(row 3)" in found["finite"].message
    assert found["finite"].metadata["not_finite"] == 2


@pytest.mark.fault(10)
def test_infinity_written_as_text_fails():
    assert failed(judged(batch(price=["1", "inf", "2"]))) == {"finite"}


@pytest.mark.fault(11)
def test_repeated_and_missing_keys_fail_with_their_rows():
    found = judged(batch(id=[7, 8, 7]))
    assert found["key_unique"].message == "2 rows share their key 'id': 7 (row 1), 7 (row 3)"
    assert judged(batch(id=[7, 8, None]))["key_unique"].message.startswith("1 rows have no key: nan (row 3)")
    assert failed(judged(batch(id=[7, 8, 7]), key=("id", "day"))) == set()
    assert judged(batch(), key=())["key_unique"].message == "no key declared"


@pytest.mark.fault(13)
@pytest.mark.parametrize(
    ("days", "message"),
    [
        (["2024-01-01", "2024-02-30", "soon"], "2 values are not times: '2024-02-30' (row 2), 'soon' (row 3)"),
        (["2024-01-01", None, "2024-01-03"], "1 rows have no time"),
        (
            ["2024-01-01", "2024-03-01 23:00", "2025-01-01"],
            "1 times lie after 2024-03-02T00:00:00+00:00: '2025-01-01' (row 3)",
        ),
        ([20240101, 20240102, 20240103], "3 values are not times: 20240101 (row 1)"),
    ],
)
def test_times_must_be_times_and_not_of_the_future(days, message):
    assert judged(batch(day=days))["time_valid"].message.startswith(message)


def test_times_of_several_formats_and_zones_are_read():
    days = ["2024-01-01", "2024-01-02T10:00:00+05:00", "2024-01-03 01:02:03.5"]
    assert judged(batch(day=days))["time_valid"].passed
    zoned = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-02-29"]).tz_localize("Asia/Tokyo")
    assert judged(batch(day=zoned))["time_valid"].passed


def test_messages_and_examples_are_bounded():
    frame = pd.DataFrame({f"c{i}": ["x" * 10_000] * 1_000 for i in range(50)})
    schema = schema_of(frame.assign(**{name: 1.0 for name in frame.columns}))
    outcomes = contract_checks(frame, schema, None, (), None, now=NOW)
    assert all(len(reason) < 3_000 for reason in reasons(outcomes))
    assert "45 columns more" in reasons(outcomes)[0]
