"""Nothing in a defs.yaml is executed, beyond importing the names that it gives."""

import pytest
import yaml

from mlops_assets import ModelPipeline
from mlops_assets.components.defs_yaml import MOST_VALUES
from support.yaml_project import Project, told_once

GOOD = {"name": "shop", "source": "landing/*.csv", "target": "y", "estimator": "sklearn.linear_model.Ridge"}
HEAD = "type: mlops_assets.ModelPipeline\nattributes:\n  name: shop\n  source: landing/*.csv\n  target: y\n"


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, monkeypatch)


@pytest.mark.promise(6)
@pytest.mark.fault(66)
def test_row_condition_in_a_suite_is_refused_with_model_and_file(project):
    between = {"column": "x", "min_value": 0, "row_condition": "__import__('os').system('touch owned')"}
    expectation = {"type": "expect_column_values_to_be_between", "kwargs": between}
    suite = project.write("shop/expectations.yaml", yaml.safe_dump({"name": "s", "expectations": [expectation]}))
    project.declare("shop", {**GOOD, "expectations": "expectations.yaml"})
    said = project.error()
    line, text = project.told_at("shop")
    assert line == "expectations: expectations.yaml"
    assert text.startswith(f"ModelPipeline 'shop': expectations: {suite}")
    assert "row_condition" in said
    assert not (project.root / "owned").exists()


@pytest.mark.promise(6)
@pytest.mark.fault(66)
def test_row_condition_in_expectations_of_the_file_itself_is_refused_as_well(project):
    good = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "x", "min_value": 0}}
    project.declare("platform", None, "mlops_assets.Deployment")
    project.declare("shop", {**GOOD, "expectations": [good]})
    assert "x_values_to_be_between" in {key.name for key in project.defs().resolve_asset_graph().asset_check_keys}
    good["kwargs"]["row_condition"] = "__import__('os').system('touch owned')"
    project.declare("shop", {**GOOD, "expectations": [good]})
    line, said = project.told_at("shop")
    assert line == "expectations:"
    assert said.startswith("ModelPipeline 'shop': expectations: expectation 1 (") and "row_condition" in said
    assert not (project.root / "owned").exists()


@pytest.mark.promise(6)
@pytest.mark.fault(66)
@pytest.mark.parametrize(
    "estimator",
    [
        "!!python/object/apply:os.system ['touch owned']",
        "!!python/name:os.system ''",
        "!!python/object/new:tuple [[1]]",
        "!secret x",
    ],
)
def test_yaml_tags_that_make_objects_are_refused(estimator, project):
    file = project.write("shop/defs.yaml", f"{HEAD}  estimator: {estimator}\n")
    with pytest.raises(Exception) as refused:
        project.defs()
    printed = str(refused.value)
    assert "could not determine a constructor for the tag" in printed
    assert f'in "{file}", line 6' in printed
    assert not (project.root / "owned").exists()


def test_anchors_may_be_used(project):
    project.write(
        "shop/defs.yaml",
        f"{HEAD}  estimator: sklearn.linear_model.Ridge\n  segments:\n"
        "  - {name: north, gates: &gates {min_gain: 0.5}}\n  - {name: south, gates: *gates}\n",
    )
    project.declare("platform", None, "mlops_assets.Deployment")
    assert {key.path[0] for key in project.defs().resolve_all_asset_keys()} == {"shop_north", "shop_south"}


@pytest.mark.promise(6)
@pytest.mark.fault(66)
def test_values_by_the_billion_are_refused_at_once():
    bomb: list[object] = ["x"]
    for _ in range(11):  # what ten anchors of anchors make; Dagster itself walks through those of a file before us
        bomb = [bomb] * 10
    with pytest.raises(Exception) as refused:
        ModelPipeline.from_attributes_dict(attributes={**GOOD, "params": {"alpha": bomb}})
    said = told_once(refused.value)
    assert said == f"ModelPipeline 'shop': holds more than {MOST_VALUES:,} values; do anchors refer to anchors?"


def test_keys_that_are_no_texts_are_refused(project):
    project.write("shop/defs.yaml", f"{HEAD}  estimator: sklearn.linear_model.Ridge\n  gates:\n    1: 2\n")
    line, said = project.told_at("shop")
    assert (line, said) == ("1: 2", "ModelPipeline 'shop': the key 1 is not text: write it in quotes")


@pytest.mark.promise(6)
@pytest.mark.parametrize("field", ["estimator", "features", "expectations"])
@pytest.mark.parametrize(
    "value", ["os.system('touch owned'):x", "lambda: 1", "__import__('os').system:x", "os; import x"]
)
def test_names_are_imported_and_never_evaluated(field, value, project):
    project.declare("shop", {**GOOD, field: value})
    if field == "expectations":  # whatever is no name is a path
        project.declare("platform", None, "mlops_assets.Deployment")
        project.defs()
    else:
        assert f"ModelPipeline 'shop': {field}: " in project.error()
    assert not (project.root / "owned").exists()


@pytest.mark.promise(6)
@pytest.mark.fault(68)
def test_values_that_look_like_code_stay_data(project):
    code = "__import__('os').system('touch owned')"
    written = {"params": {"solver": code}, "where": {"region": code}, "search": {"space": {"solver": [code]}}}
    project.declare("shop", {**GOOD, **written, "description": code})
    project.declare("platform", None, "mlops_assets.Deployment")
    project.defs()
    model = ModelPipeline.from_attributes_dict(attributes={**GOOD, **written})
    assert (model.params, model.where, model.search.space) == (
        *map(written.get, ("params", "where")),
        {"solver": [code]},
    )
    assert not (project.root / "owned").exists()


@pytest.mark.promise(6)
@pytest.mark.fault(68)
@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ env.__init__.__globals__['os'].system('touch owned') }}",
        "{{ context.project_root.__class__ }}",
        "{{ ''|attr('__class__') }}",
        "{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    ],
)
def test_template_that_reaches_for_code_is_refused(template, project):
    project.declare("shop", {**GOOD, "target": template})
    line, said = project.told_at("shop")
    assert line.startswith("target: ")
    assert said.startswith("ModelPipeline 'shop': target: template ")
    assert "SecurityError" in said or "gives nothing" in said
    assert not (project.root / "owned").exists()


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ lipsum.__globals__['os'].system('touch owned') }}", "getitem is not allowed here"),
        ("{{ lipsum.__globals__.os.system('touch owned') }}", "the attribute __globals__ leads to code"),
        ("{{ cycler('a') }}", "cycler is a function of the template engine"),
        ("{{ ''|attr('__class__') }}", "filter is not allowed here"),
        ("{{ (''.__class__ and lipsum()) or 'x' }}", "or is not allowed here"),
        ("{{ env.get.gi_frame }}", "the attribute gi_frame leads to code"),
        ("{% for x in [1] %}{{ x }}{% endfor %}", "for is not allowed here"),
        ("{{ env.", "it cannot be read"),
    ],
)
@pytest.mark.parametrize("where", ["value", "key"])
def test_template_of_post_processing_that_reaches_for_code_is_refused_before_dagster_fills_it_in(
    where, template, reason, project
):
    asset = {"target": "*", "attributes": {"tags": {"a": template} if where == "value" else {template: "a"}}}
    document = {"type": "mlops_assets.ModelPipeline", "attributes": GOOD, "post_processing": {"assets": [asset]}}
    project.write("shop/defs.yaml", yaml.safe_dump(document, width=1_000))
    line, said = project.told_at("shop")
    assert said.startswith("ModelPipeline 'shop': post_processing.assets.0.attributes.tags.") and reason in said
    assert "lipsum" not in template or template.split("'")[0] in line
    assert not (project.root / "owned").exists()


def test_template_of_post_processing_that_names_values_is_left_to_dagster(project, monkeypatch):
    monkeypatch.setenv("TEAM", "bikes")
    eager = {"automation_condition": "{{ dg.AutomationCondition.eager() }}", "tags": {"team": "{{ env.TEAM }}"}}
    post = {"assets": [{"target": "shop/dataset", "attributes": eager}]}
    document = {"type": "mlops_assets.ModelPipeline", "attributes": GOOD, "post_processing": post}
    project.write("shop/defs.yaml", yaml.safe_dump(document))
    project.declare("platform", None, "mlops_assets.Deployment")
    asset = project.defs().resolve_assets_def(["shop", "dataset"])
    (spec,) = asset.specs
    assert spec.tags["team"] == "bikes" and spec.automation_condition is not None


def test_without_a_file_the_error_is_as_clear():
    with pytest.raises(Exception) as refused:
        ModelPipeline.from_attributes_dict(attributes={**GOOD, "target": "{{ env.NOT_SET_ANYWHERE }}"})
    assert told_once(refused.value).startswith(
        "ModelPipeline 'shop': target: template '{{ env.NOT_SET_ANYWHERE }}' gives"
    )
