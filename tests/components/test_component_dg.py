"""Dagster's own command line knows our components: it lists, scaffolds and checks them."""

import json

import pytest
import yaml

pytestmark = pytest.mark.slow


def test_components_are_listed_with_description_and_schema(project):
    done = project.dg("list", "components", "--json")
    assert done.returncode == 0, done.stderr
    listed = {each["key"]: each for each in json.loads(done.stdout)["items"]}
    assert listed["mlops_assets.ModelPipeline"]["summary"].startswith(
        "A model, declared once: its whole production loop"
    )
    assert listed["mlops_assets.Deployment"]["summary"].startswith("What the models of a code location share")
    done = project.dg("utils", "inspect-component", "mlops_assets.ModelPipeline")
    assert done.returncode == 0, done.stderr
    assert {"source", "segments", "where"} <= set(
        json.loads(done.stdout.partition("Component schema:")[2])["properties"]
    )


def test_scaffolded_components_pass_both_checks_as_they_are(project):
    for kind, name in (("ModelPipeline", "bike-demand"), ("Deployment", "mlops")):
        done = project.dg("scaffold", "defs", f"mlops_assets.{kind}", name)
        assert done.returncode == 0, done.stdout + done.stderr
    written = yaml.safe_load((project.folder / "bike-demand" / "defs.yaml").read_text())
    assert written["attributes"]["name"] == "bike_demand"
    done = project.dg("check", "yaml")
    assert (done.returncode, done.stdout.strip()) == (0, "All component YAML validated successfully.")
    done = project.dg("check", "defs")
    assert done.returncode == 0 and "All definitions loaded successfully." in done.stdout + done.stderr


def test_scaffolded_python_is_a_model_too(project):
    done = project.dg("scaffold", "defs", "mlops_assets.ModelPipeline", "bike", "--format", "python")
    assert done.returncode == 0, done.stdout + done.stderr
    done = project.dg("scaffold", "defs", "mlops_assets.Deployment", "mlops", "--format", "python")
    assert done.returncode == 0, done.stdout + done.stderr
    keys = {key.to_user_string() for key in project.defs().resolve_all_asset_keys()}
    assert "bike/champion" in keys


def test_check_yaml_names_the_line_of_what_the_schema_refuses(project):
    attributes = {"name": "bike", "source": "d/*.csv", "target": "y", "estimator": "sklearn.linear_model.Ridge"}
    project.declare("bike", {**attributes, "gates": {"min_gian": 1}})
    done = project.dg("check", "yaml")
    assert done.returncode == 1
    assert "bike/defs.yaml:8 - mlops_assets.ModelPipeline attributes.gates.min_gian" in done.stdout
    assert (
        done.stdout.count("Additional properties are not allowed ('min_gian' was unexpected)") == 2
    )  # and beside the line
