"""The schema that editors and `dg check yaml` go by, and the file that `dg scaffold` writes from the same fields."""

from collections.abc import Iterator

import dagster as dg
import pytest
import yaml
from jsonschema import Draft202012Validator

from mlops_assets import Drift, Folder, Gates, ModelPipeline, Retraining
from mlops_assets.components.scaffolding import ModelScaffolder, model_yaml
from mlops_assets.components.schema import model_schema
from mlops_assets.declaration import Declaration
from support.yaml_project import MINIMAL, of_yaml


def test_schema_has_a_description_and_the_default_of_every_field_and_the_names_that_may_be_chosen():
    schema = model_schema()
    Draft202012Validator.check_schema(schema)
    fields = schema["properties"]
    assert set(fields) == set(ModelPipeline.model_fields)
    assert [name for name, field in fields.items() if not field.get("description")] == []
    for name, info in Declaration.model_fields.items():
        if name not in ("source", "outcomes", "features", "expectations", "estimator") and not info.is_required():
            default = info.get_default(call_default_factory=True)
            plain = default.model_dump(mode="json") if hasattr(default, "model_dump") else default
            assert name in ("gates", "drift", "retraining") or fields[name]["default"] == plain
    assert fields["pages"]["else"]["enum"] == ["on_alarm", "always", "never"]
    retraining = fields["retraining"]["else"]["properties"]
    assert retraining["timezone"]["default"] == "UTC" and retraining["confirm"]["default"] == [2, 3]
    assert set(fields["source"]["properties"]) >= {
        "folder",
        "frame",
        "table",
        "asset",
        "query",
        "url",
        "period",
        "type",
    }
    assert "name" in fields["segments"]["items"]["required"]


@pytest.mark.parametrize(
    "wrong, says",
    [
        ({"targt": "x"}, "Additional properties are not allowed ('targt' was unexpected)"),
        ({"target": ["y"]}, "['y'] is not of type 'string'"),
        ({"pages": "nevr"}, "'nevr' is not one of ['on_alarm', 'always', 'never']"),
        ({"seed": "seven"}, "'seven' is not of type 'integer'"),
        ({"seed": "{{ env.SEED }}"}, None),
        ({"gates": {"min_gian": 1}}, "Additional properties are not allowed ('min_gian' was unexpected)"),
        ({"gates": {"beats": ["dumy"]}}, "'dumy' is not one of ['dummy', 'previous', 'linear']"),
        ({"source": {"foldr": "x"}}, "Additional properties are not allowed ('foldr' was unexpected)"),
        ({"source": {"type": "shop.Bucket", "prefix": "x", "period": 7}}, None),
        ({"source": {"type": 7}}, "7 is not of type 'string'"),
        ({"where": {"region": {"not": "north"}}}, "is not of type 'string', 'integer', 'number', 'boolean', 'array'"),
        ({"segments": []}, "[] should be non-empty"),
        ({"segments": [{"where": {"region": "north"}}]}, "'name' is a required property"),
        ({"retraining": {"confirm": [1]}}, "[1] is too short"),
    ],
)
def test_schema_says_in_one_sentence_what_is_wrong(wrong, says):
    errors = [error.message for error in Draft202012Validator(model_schema()).iter_errors({**MINIMAL, **wrong})]
    assert len(errors) == (says is not None)
    assert all(says in error for error in errors)


def test_scaffolded_file_is_a_model_and_holds_every_field():
    written = yaml.safe_load(model_yaml("mlops_assets.ModelPipeline", "bike"))
    assert written["type"] == "mlops_assets.ModelPipeline"
    assert list(Draft202012Validator(model_schema()).iter_errors(written["attributes"])) == []
    model = of_yaml(written["attributes"])
    assert (model.name, model.source) == ("bike", Folder("data/bike/*.csv", time="timestamp"))


@pytest.mark.parametrize(
    ("folder", "name"), [("Fahrräder-2024", "fahrr_der_2024"), ("2024", "model_2024"), ("___", "model")]
)
def test_scaffolded_model_has_a_name_that_is_allowed_whatever_its_folder_is_called(folder, name, tmp_path):
    (tmp_path / folder).mkdir()
    request = dg.ScaffoldRequest("mlops_assets.ModelPipeline", tmp_path / folder, "yaml", tmp_path, None)
    ModelScaffolder().scaffold(request)
    written = yaml.safe_load((tmp_path / folder / "defs.yaml").read_text())
    assert of_yaml(written["attributes"]).name == name


def test_scaffolded_file_without_its_comment_signs_is_a_whole_declaration_with_the_defaults():
    lines = list(uncommented(model_yaml("mlops_assets.ModelPipeline", "bike")))
    written = yaml.safe_load("\n".join(lines))["attributes"]
    assert set(written) == set(ModelPipeline.model_fields)
    assert list(Draft202012Validator(model_schema()).iter_errors(written)) == []
    model = of_yaml(written)
    assert [each.name for each in model.models] == ["bike_north", "bike_south"]
    assert (model.gates, model.drift, model.retraining) == (Gates(), Drift(), Retraining())
    examples = {"search", "outcomes", "segments", "source", "time", "key", "metrics", "expectations"}
    for name, info in ModelPipeline.model_fields.items():
        if name not in examples and not info.is_required():
            assert getattr(model, name) == info.get_default(call_default_factory=True), name


def uncommented(text: str) -> Iterator[str]:
    """The lines of which each is a field, also where it stands in a comment."""
    parts = (ModelPipeline, Gates, Drift, Retraining)
    known = {"type", "attributes", *(name for part in parts for name in part.model_fields)}
    for line in text.splitlines():
        bare = line.replace("# ", "", 1) if line.startswith("  #") else line
        if bare.split(":")[0].strip() in known and not line.startswith("#"):
            yield bare
