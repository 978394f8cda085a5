"""Suites in every form that can be declared: what a failing expectation shows, what it stops and what it does not."""

import json
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType
from dagster._core.definitions.repository_definition import RepositoryLoadData

from mlops_assets import ModelPipeline
from mlops_assets.records.inferred_suites import inferred_document, inferred_version
from mlops_assets.resources.judges import judged_by
from mlops_assets.validation.suites import write_suite
from support.deployment import DeployedModel, checks, failed, plain, why
from support.synthetic import rows

BETWEEN = {
    "type": "expect_column_values_to_be_between",
    "kwargs": {"column": "x", "min_value": -5, "max_value": 5},
    "meta": {"severity": "error"},
}
KNOWN_COLOURS = {
    "type": "expect_column_values_to_be_in_set",
    "kwargs": {"column": "colour", "value_set": ["red", "green", "blue"]},
    "meta": {"severity": "warn"},
}
SUITE = {"name": "shop", "expectations": [BETWEEN, KNOWN_COLOURS]}

BAD = rows(2)
BAD.loc[[3, 30], "x"] = [77.5, -9.25]
BAD.loc[:5, "colour"] = "mauve"


def as_json(folder: Path) -> str:
    path = folder / "suite.json"
    path.write_text(json.dumps(SUITE))
    return str(path)


def as_yaml(folder: Path) -> str:
    path = folder / "suite.yaml"
    path.write_text(yaml.safe_dump(SUITE, sort_keys=False))
    return str(path)


def as_objects(folder: Path) -> object:
    import great_expectations as gx

    return gx.ExpectationSuite(
        "shop",
        expectations=[
            gx.expectations.ExpectColumnValuesToBeBetween(column="x", min_value=-5, max_value=5),
            gx.expectations.ExpectColumnValuesToBeInSet(
                column="colour", value_set=["red", "green", "blue"], severity="warning"
            ),
        ],
    )


def from_a_function() -> list[dict[str, object]]:
    return [BETWEEN, KNOWN_COLOURS]


def check_names(model: DeployedModel) -> set[str]:
    asset = model.defs.resolve_assets_def(dg.AssetKey([model.name, "dataset"]))
    return {spec.name for spec in asset.check_specs}


@pytest.mark.parametrize("form", [as_json, as_yaml, as_objects])
def test_each_expectation_is_a_check_that_shows_its_evidence(form, deployment, name, tmp_path):
    model = deployment.model(name, expectations=form(tmp_path))
    assert {"x_values_to_be_between", "colour_values_to_be_in_set"} < check_names(model)
    good = model.take_in(model.land("b1", rows(1)))
    assert good.success and checks(good)["x_values_to_be_between"].passed

    result = model.take_in(model.land("b2", BAD))
    found = checks(result)["x_values_to_be_between"]
    shown = plain(found.metadata)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert found.description == (
        "does not hold: x: values to be between (min_value -5, max_value 5); "
        "2 of 60 values unexpected (3.33%); 77.5 (row 4), -9.25 (row 31)"
    )
    assert shown["unexpected_count"] == 2
    assert shown["unexpected_share"] == pytest.approx(2 / 60, abs=1e-6)
    assert shown["examples"] == "77.5 (row 4), -9.25 (row 31)"
    assert "x_values_to_be_between: does not hold" in why(result)
    assert "colour" not in why(result)  # a warning is no reason
    assert model.record("b2").status == "rejected"

    warned = checks(result)["colour_values_to_be_in_set"]
    assert (warned.passed, warned.severity) == (False, dg.AssetCheckSeverity.WARN)


def test_expectation_of_severity_warn_stops_nothing(deployment, name, tmp_path):
    model = deployment.model(name, expectations=as_yaml(tmp_path))
    result = model.take_in(model.land("b1", BAD.assign(x=rows(2)["x"])))
    assert result.success and model.record("b1").status == "accepted"
    assert "6 of 60 values unexpected (10.00%); 'mauve' (row 1)" in failed(result)["colour_values_to_be_in_set"]


def test_table_expectation_shows_what_it_observed(deployment, name):
    rows_expected = {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 100}}
    model = deployment.model(name, expectations=[rows_expected])
    result = model.take_in(model.land("b1", rows(1)))
    found = checks(result)["table_row_count_to_be_between"]
    assert plain(found.metadata)["observed_value"] == 60
    assert failed(result) == {
        "table_row_count_to_be_between": "does not hold: table row count to be between (min_value 100); observed 60"
    }


def test_expectations_of_a_function_are_one_check(deployment, name):
    model = deployment.model(name, expectations=from_a_function)
    assert "expectations" in check_names(model) and "x_values_to_be_between" not in check_names(model)
    assert model.take_in(model.land("b1", rows(1))).success
    result = model.take_in(model.land("b2", BAD))
    found = checks(result)["expectations"]
    assert found.description.startswith("does not hold: x: values to be between")
    table = {row["expectation"]: row["passed"] for row in plain(found.metadata)["table"]}
    assert table == {"x_values_to_be_between": False, "colour_values_to_be_in_set": False}
    assert model.record("b2").status == "rejected"


def test_suite_is_inferred_in_the_storage_and_a_file_overrides_it(deployment, name, tmp_path):
    path = tmp_path / "inferred" / "expectations.yaml"
    path.parent.mkdir()
    model = deployment.model(name, expectations=str(path))
    for number in (1, 2):
        assert model.take_in(model.land(f"b{number}", rows(number))).success
        assert inferred_document(model.records) is None
    before = judged_by(model.pipeline, 0, inferred_version(model.records))
    assert model.take_in(model.land("b3", rows(3))).success
    assert not path.exists() and judged_by(model.pipeline, 0, inferred_version(model.records)) != before
    inferred = inferred_document(model.records)
    assert inferred["name"] == name
    columns = {each["kwargs"].get("column") for each in inferred["expectations"]}
    assert {"x", "z", "colour", "y"} <= columns

    # Each machine that runs a step has the suite, with the checks that the code server planned.
    elsewhere = deployment.model(name, expectations=str(path))
    assert check_names(elsewhere) == check_names(model)
    judged = checks(elsewhere.take_in(elsewhere.land("b4", rows(4))))["suite_in_force"]
    assert judged.passed and judged.description == f"all {len(inferred['expectations'])} expectations hold"
    wrong = elsewhere.take_in(elsewhere.land("b5", rows(5).assign(x=1e6)))
    assert not wrong.success and "suite_in_force: does not hold: x: values to be between" in why(wrong)

    write_suite(path, name, inferred["expectations"])  # as `mlops-assets suite export` does
    edited = path.read_text().replace(f"name: {name}", f"name: {name}_edited")
    path.write_text(edited)
    reloaded = deployment.model(name, expectations=str(path))
    assert len(check_names(reloaded)) == len(check_names(model)) + len(inferred["expectations"])
    result = reloaded.take_in(reloaded.land("b6", rows(6)))
    assert result.success and set(checks(result)) >= check_names(reloaded)
    assert path.read_text() == edited


def test_an_inferred_suite_that_is_gone_judges_no_batch(deployment, name, tmp_path):
    model = deployment.model(name, expectations=str(tmp_path / "expectations.yaml"))
    for number in (1, 2, 3):
        assert model.take_in(model.land(f"b{number}", rows(number))).success
    place = Path(model.storage.document_place(name, "suites", inferred_version(model.records)))
    place.write_text("{")
    said = why(model.take_in(model.land("b4", rows(4))))
    assert "suite_in_force: the suite cannot be used" in said and f"run {name}_relearn" in said
    place.unlink()
    said = why(model.take_in(model.land("b5", rows(5))))
    assert f"suite_in_force: the suite cannot be used: {place}: the inferred suite is gone" in said


def test_unusable_suite_says_where_and_what(deployment, name, tmp_path):
    from mlops_assets import MlopsAssetsError

    path = tmp_path / "old.yaml"
    path.write_text("name: old\nexpectations:\n- {expectation_type: expect_column_values_to_not_be_null}\n")
    with pytest.raises(
        MlopsAssetsError, match=r"old\.yaml: expectation 1: 'expectation_type' is of Great Expectations"
    ):
        deployment.model(name, expectations=str(path))
    misspelt = {"type": "expect_column_values_to_be_betwen", "kwargs": {"column": "x"}}
    result = deployment.model(name, expectations=[misspelt])
    said = why(result.take_in(result.land("b1", rows(1))))
    assert "has no expectation 'expect_column_values_to_be_betwen'. Did you mean" in said


def test_suite_that_changed_since_it_was_loaded_judges_as_it_is_now(deployment, name, tmp_path):
    path = Path(as_yaml(tmp_path))
    model = deployment.model(name, expectations=str(path))
    in_z = {**BETWEEN, "kwargs": {"column": "z", "max_value": -50}}
    path.write_text(yaml.safe_dump({**SUITE, "expectations": [{**BETWEEN, "meta": {"severity": "warn"}}, in_z]}))
    result = model.take_in(model.land("b1", BAD))
    found = checks(result)
    assert found.keys() >= check_names(model)
    assert not found["x_values_to_be_between"].passed and "x_values" not in why(result)  # a warning by now
    assert found["colour_values_to_be_in_set"].passed
    assert found["colour_values_to_be_in_set"].description.startswith("no longer in the suite")
    assert "suite_in_force: does not hold: z: values to be between (max_value -50)" in why(result)
    [row] = plain(found["suite_in_force"].metadata)["table"]
    assert (row["expectation"], row["passed"]) == ("z_values_to_be_between", False)

    path.write_text("expectations: [")
    result = model.take_in(model.land("b2", rows(2)))
    assert f"batch 'b2' is rejected. suite_in_force: the suite cannot be used: {path}: " in why(result)
    rejected = model.record("b2")
    assert (rejected.status, rejected.judged_by) == ("rejected", judged_by(model.pipeline, 0))
    path.unlink()
    assert rejected.judged_by != judged_by(model.pipeline, 0)
    assert model.take_in(model.land("b3", rows(3))).success


@pytest.mark.parametrize("declared", ["file", "objects", "segments"])
def test_process_of_a_run_has_the_checks_of_the_server(declared, name, tmp_path):
    path = tmp_path / "suite.yaml"
    if declared != "segments":
        as_yaml(tmp_path)
    segments = {"segments": [{"name": "red", "where": {"colour": "red"}}]} if declared == "segments" else {}
    key = dg.AssetKey([f"{name}_red" if segments else name, "dataset"])

    def built(expectations: object) -> set[str]:
        model = ModelPipeline(
            name=name,
            source="*.csv",
            target="y",
            estimator="sklearn.linear_model.Ridge",
            expectations=expectations,
            **segments,
        )
        [dataset] = [each for each in model.build_defs().assets if each.key == key]
        return {spec.name for spec in dataset.check_specs}

    with DefinitionsLoadContext.scoped(DefinitionsLoadContext(DefinitionsLoadType.INITIALIZATION)) as server:
        planned = built([BETWEEN] if declared == "objects" else str(path))
    noted = RepositoryLoadData(reconstruction_metadata=dict(server.get_pending_reconstruction_metadata()))
    with DefinitionsLoadContext.scoped(DefinitionsLoadContext(DefinitionsLoadType.RECONSTRUCTION, noted)):
        path.write_text(yaml.safe_dump({**SUITE, "expectations": [KNOWN_COLOURS]}))
        assert built([KNOWN_COLOURS] if declared == "objects" else str(path)) == planned
        path.write_text("expectations: [")
        if declared != "objects":
            assert built(str(path)) == planned
