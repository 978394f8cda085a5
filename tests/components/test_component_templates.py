"""Texts, numbers and templates of a defs.yaml: what they are in Python."""

import yaml

from support.yaml_project import MINIMAL, of_yaml


def test_templates_are_filled_in_as_in_any_component(project, monkeypatch):
    monkeypatch.setenv("BIKE_SEED", "7")
    monkeypatch.setenv("BIKE_TARGET", "rentals")
    project.write("bike/vars.py", "import dagster as dg\n\n\n@dg.template_var\ndef most():\n    return {'rmse': 9.0}\n")
    project.write(
        "bike/defs.yaml",
        """
type: mlops_assets.ModelPipeline
template_vars_module: .vars
attributes:
  name: bike
  source: "{{ context.project_root }}/data/*.csv"
  target: "{{ env.BIKE_TARGET }}"
  estimator: sklearn.linear_model.Ridge
  seed: "{{ env.BIKE_SEED }}"
  metrics: ["{{ 'rm' + 'se' }}"]
  gates: {maximum: "{{ most }}"}
  owners: ["{{ env('BIKE_OWNER', 'team:none') }}"]
""",
    )
    model = project.component()
    assert model.source.path == f"{project.root}/data/*.csv"
    assert (model.target, model.seed, model.metrics, model.owners) == ("rentals", 7, ["rmse"], ["team:none"])
    assert model.gates.maximum == {"rmse": 9.0}


def test_text_that_is_no_template_stays_the_text_that_it_is():
    written = {"solver": "1", "nothing": "None", "yes": "True", "list": "[1]", "zip": "010", "name": "os.system"}
    model = of_yaml(
        {**MINIMAL, "params": written, "where": {"zip": "10115"}, "search": {"space": {"f": ["os.system"]}}}
    )
    assert model.params == written
    assert model.where == {"zip": "10115"}
    assert model.search.space == {"f": ["os.system"]}


def test_number_with_an_exponent_is_the_number_that_it_is_in_python():
    read = yaml.safe_load(
        "{params: {tol: 1e-3}, search: {space: {a: {low: 1e-3, high: 1.0E2}, b: [-1e2, 7]}}, seed: 7}"
    )
    assert read["params"] == {"tol": "1e-3"}  # a text in YAML 1.1
    model = of_yaml({**MINIMAL, **read, "where": {"code": "1e3"}})
    assert model.params == {"tol": 0.001}
    assert model.search.space == {"a": {"low": 0.001, "high": 100.0}, "b": [-100.0, 7]}
    assert model.where == {"code": "1e3"}


def test_unset_environment_variable_in_a_template_is_told(project):
    project.declare("bike", {**MINIMAL, "target": "{{ env.NOT_SET_ANYWHERE }}"})
    said = project.error()
    assert said.startswith(f"{project.name}/defs/bike/defs.yaml:5: ModelPipeline 'bike': target: template ")
    assert "'{{ env.NOT_SET_ANYWHERE }}' gives nothing (known: " in said
