"""Suites are read as plain values, and whatever could execute, fetch or hang is refused with its place."""

import json

import pytest

from mlops_assets.errors import ExpectationsError
from mlops_assets.validation.contract import CONTRACT
from mlops_assets.validation.suites import Expectation, from_objects, load_suite

BETWEEN = "expect_column_values_to_be_between"


def suite_file(tmp_path, content, name="suite.yaml"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def one(**fields):
    return from_objects([{"type": BETWEEN, "kwargs": {"column": "co2", "min_value": 0}, **fields}])[0]


def test_yaml_and_json_give_the_same_suite(tmp_path):
    yaml_text = """
name: co2
expectations:
- type: expect_column_values_to_be_between
  kwargs: {column: co2, min_value: 250, max_value: 500, mostly: 0.99}
  meta: {severity: warn}
- type: expect_column_max_to_be_between
  kwargs: {column: week, max_value: 2002-01-01}
"""
    document = {
        "name": "co2",
        "expectations": [
            {
                "type": BETWEEN,
                "kwargs": {"column": "co2", "min_value": 250, "max_value": 500, "mostly": 0.99},
                "meta": {"severity": "warn"},
            },
            {"type": "expect_column_max_to_be_between", "kwargs": {"column": "week", "max_value": "2002-01-01"}},
        ],
    }
    suite = load_suite(suite_file(tmp_path, yaml_text))
    assert suite == load_suite(suite_file(tmp_path, document, "suite.json"))
    assert [item.check_name for item in suite] == ["co2_values_to_be_between", "week_max_to_be_between"]
    assert suite[0] == Expectation(
        type=BETWEEN,
        kwargs=document["expectations"][0]["kwargs"],
        check_name="co2_values_to_be_between",
        meta={"severity": "warn"},
        severity="warn",
        blocking=False,
    )


@pytest.mark.parametrize(
    ("fields", "severity", "blocking"),
    [
        ({}, "error", True),
        ({"severity": "critical"}, "error", True),
        ({"severity": "warning"}, "warn", False),
        ({"severity": "info"}, "warn", False),
        ({"severity": "critical", "meta": {"severity": "warn"}}, "warn", False),
        ({"meta": {"blocking": False}}, "error", False),
    ],
)
def test_severity_and_blocking(fields, severity, blocking):
    assert (one(**fields).severity, one(**fields).blocking) == (severity, blocking)


def test_check_names_are_unique_plain_and_bounded():
    columns = ["a b", "a-b", "Größe/€", "日本", "x" * 300]
    suite = from_objects([{"type": BETWEEN, "kwargs": {"column": column}} for column in columns])
    names = [item.check_name for item in suite]
    assert names[:4] == [
        "a_b_values_to_be_between",
        "a_b_values_to_be_between_2",
        "gr_e_values_to_be_between",
        "column_values_to_be_between",
    ]
    assert len(set(names)) == len(names) and max(map(len, names)) <= 100
    table = from_objects([{"type": "expect_table_row_count_to_be_between"}])[0].check_name
    assert table == "table_row_count_to_be_between" not in CONTRACT


def test_objects_of_great_expectations_are_read():
    import great_expectations as gx
    import great_expectations.expectations as gxe
    from great_expectations.expectations.row_conditions import Column

    condition = (Column("color") == "red") & Column("price").is_not_null()
    items = [
        gxe.ExpectColumnValuesToBeBetween(column="price", min_value=1, row_condition=condition),
        gxe.ExpectColumnValuesToBeInSet(column="color", value_set=["red"], meta={"severity": "warn"}),
    ]
    suite = from_objects(items)
    assert suite == from_objects(gx.ExpectationSuite("s", expectations=items))
    assert [(item.check_name, item.severity) for item in suite] == [
        ("price_values_to_be_between", "error"),
        ("color_values_to_be_in_set", "warn"),
    ]
    assert suite[0].kwargs["row_condition"]["type"] == "and"
    json.dumps([item.kwargs for item in suite])


@pytest.mark.parametrize("objects", ["suite.yaml", None, 3, {"a": 1}, [3]])
def test_other_objects_are_refused(objects):
    with pytest.raises(ExpectationsError, match="expected"):
        from_objects(objects)


COMPARISON = {"type": "comparison", "column": {"name": "a"}, "operator": "==", "parameter": "x"}


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"expectation_type": BETWEEN}, "'expectation_type' is of Great Expectations < 1.0; write 'type'"),
        ({"type": BETWEEN, "kwarg": {}}, "unknown key 'kwarg'. Did you mean 'kwargs'"),
        ({"type": "column_to_exist"}, "does not start with 'expect_'"),
        ({"type": "expect_x\n"}, "'type' must be a name"),
        ({"kwargs": {}}, "'type' must be a name"),
        ({"type": "unexpected_rows_expectation"}, "runs SQL of its own"),
        ({"type": "expect_query_results_to_match_comparison"}, "runs SQL of its own"),
        ({"type": "expect_x", "kwargs": {"unexpected_rows_query": "DROP"}}, "holds SQL"),
        ({"type": "expect_x", "kwargs": []}, None),
        ({"type": "expect_x", "kwargs": [1]}, "'kwargs' must be a mapping"),
        ({"type": "expect_x", "meta": {"severity": "fatal"}}, "severity must be 'error' or 'warn', got 'fatal'"),
        ({"type": "expect_x", "meta": {"blocking": "no"}}, "meta.blocking must be true or false"),
        ({"type": "expect_x", "kwargs": {"min_value": {"$PARAMETER": "9^9^9^9"}}}, "PARAMETER is not supported"),
        ({"type": "expect_x", "kwargs": {"min_value": float("nan")}}, "is not a limit"),
        ({"type": "expect_x", "kwargs": {"json_schema": {"a": {"$ref": "http://127.0.0.1/x"}}}}, "points out"),
        ({"type": "expect_x", "kwargs": {"row_condition": "@pd.io"}}, "row_condition '@pd.io' is refused"),
        (
            {"type": "expect_x", "kwargs": {"row_condition": {"type": "pass_through", "pass_through_filter": "@pd"}}},
            "would be executed",
        ),
        (
            {"type": "expect_x", "kwargs": {"row_condition": {"type": "and", "conditions": [COMPARISON, "@pd"]}}},
            "would be executed",
        ),
        ({"type": "expect_x", "kwargs": {"row_condition": COMPARISON | {"parameter": {"a": 1}}}}, "would be executed"),
        ({"type": "expect_x", "kwargs": {"row_condition": COMPARISON | {"column": {"name": "a`+@b"}}}}, "backtick"),
        ({"type": "expect_x", "kwargs": {"row_condition": COMPARISON}}, None),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(tmp_path, item, message):
    path = suite_file(tmp_path, {"name": "s", "expectations": [{"type": "expect_first"}, item]}, "suite.json")
    if message is None:
        assert len(load_suite(path)) == 2
        return
    with pytest.raises(ExpectationsError) as caught:
        load_suite(path)
    assert str(caught.value).startswith(f"{path}: expectation 2") and message in str(caught.value)


@pytest.mark.promise(6)
@pytest.mark.fault(66)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a suite"),
        ("[1, 2]", "expected a suite"),
        ("{name: a, expectation: []}", "expected a suite"),
        ("{name: a, expectations: {}}", "'expectations' must be a list"),
        ("{name: a, expectations: [], expectation_suite_name: a}", "of Great Expectations < 1.0; write 'name'"),
        ("{name: a, expectations: [], sevirity: 1}", "unknown key 'sevirity'"),
        ("name: a\nname: b\nexpectations: []", "line 2: the key 'name' is repeated"),
        ("a: &x [1]\nb: *x", "line 1: anchors and aliases are not read"),
        ("!!python/object/apply:os.system ['touch marker']", "line 1"),
        ("[" * 200_000, "line 1: "),
        ("a: [1", "line "),
        ("a: 1\n---\nb: 2", "line "),
        ("a: " + "x" * 1_000_000, "has 1,000,003 bytes; at most 1,000,000"),
        (b"a: \xff", "is not UTF-8 (byte 3)"),
    ],
)
def test_malformed_and_hostile_yaml_is_refused(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "suite.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ExpectationsError) as caught:
        load_suite(path)
    assert message in str(caught.value) and str(path) in str(caught.value)
    assert len(str(caught.value)) < 600 + len(str(path))
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a": 1, "a": 2}', "{"])
def test_malformed_json_is_refused(tmp_path, text):
    with pytest.raises(ExpectationsError, match=r"suite\.json: "):
        load_suite(suite_file(tmp_path, text, "suite.json"))


def test_a_missing_file_or_folder_is_named(tmp_path):
    with pytest.raises(ExpectationsError, match="cannot be read: No such file"):
        load_suite(tmp_path / "none.yaml")
    with pytest.raises(ExpectationsError, match="is not a regular file"):
        load_suite(tmp_path)
