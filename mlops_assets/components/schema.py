"""The JSON schema of the pack's components, with which `dg check yaml` checks and editors complete a defs.yaml."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel, RootModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from mlops_assets.declaration import Declaration
from mlops_assets.sources.yaml_form import KINDS

_TEMPLATE = {"type": "string", "pattern": r"\{\{"}
_SOURCE = (
    "Its kind comes first: folder, frame, table (or query), asset, or type, the dotted name of a class of your own "
    "with its options; a text alone is the glob of a folder."
)
_SEGMENTS = (
    "Many models from one file: each segment has a name, usually a `where`, and any other field in place of that of "
    "all; mappings are merged. Its model is called <name>_<segment>."
)


class ModelAttributes(RootModel[dict[str, Any]]):
    """The attributes of a ModelPipeline as written; its declaration reports what is wrong with them."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> JsonSchemaValue:
        return model_schema()


@cache
def model_schema() -> dict[str, Any]:
    """Return the schema of a ModelPipeline's attributes, with the description and default of each field."""
    fields = fields_schema(Declaration)
    for name in ("source", "outcomes"):
        fields[name] = {**_source(), "description": f"{fields[name]['description']} {_SOURCE}"}
    fields["estimator"] = {"type": "string", "description": fields["estimator"]["description"]}
    for name in ("features", "expectations"):
        fields[name] = {"type": ["string", "null"], "default": None, "description": fields[name]["description"]}
    fields["expectations"] |= {"type": ["string", "array", "null"], "items": {"type": "object"}}
    segment = {
        **fields,
        "name": {"type": "string", "description": "The second part of the model's name: <name>_<segment>."},
    }
    segments = {"type": "array", "minItems": 1, "items": mapping(segment, ["name"]), "description": _SEGMENTS}
    return {
        "title": "ModelPipeline",
        **mapping({**fields, "segments": segments}, ["name", "source", "target", "estimator"]),
    }


def fields_schema(declared: type[BaseModel]) -> dict[str, Any]:
    """Return a schema for each field of a class; fields that are not text may be templates such as `{{ env.SEED }}`."""
    schema = declared.model_json_schema(schema_generator=_Generator)
    defs = schema.get("$defs", {})
    return {name: _or_template(_plain(field, defs)) for name, field in schema["properties"].items()}


def mapping(fields: Mapping[str, Any], required: Sequence[str] = ()) -> dict[str, Any]:
    """Return the schema of a mapping with these fields and no others."""
    return {"type": "object", "additionalProperties": False, "properties": dict(fields), "required": list(required)}


class _Generator(GenerateJsonSchema):
    ignored_warning_kinds = {"non-serializable-default", "skipped-choice"}  # noqa: RUF012

    def callable_schema(self, schema: Any) -> JsonSchemaValue:
        return {"type": "string"}


def _plain(field: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema without references and `anyOf`: a checker can only report that no alternative fits."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return {**_plain(defs[name], defs), **{key: value for key, value in field.items() if key != "$ref"}}
    plain = {key: value for key, value in field.items() if key not in ("anyOf", "title")}
    for key in ("items", "additionalProperties"):
        if isinstance(plain.get(key), Mapping):
            plain[key] = _plain(plain[key], defs)
    if "properties" in plain:
        plain["properties"] = {name: _or_template(_plain(each, defs)) for name, each in plain["properties"].items()}
    if "const" in plain:
        plain["enum"] = [plain.pop("const")]
    kinds = [_plain(kind, defs) for kind in field.get("anyOf", ())]
    for kind in kinds:
        plain = {**kind, **plain}
    if kinds:
        plain["type"] = list(dict.fromkeys(kind["type"] for kind in kinds))
        if "enum" in plain and "null" in plain["type"]:
            plain["enum"] = [*plain["enum"], None]
    return plain


def _or_template(field: dict[str, Any]) -> dict[str, Any]:
    kinds = field.get("type", ())
    if "string" in ([kinds] if isinstance(kinds, str) else kinds) and "enum" not in field:
        return field
    told: dict[str, Any] = {key: field.pop(key) for key in ("description", "default") if key in field}
    return {**told, "if": _TEMPLATE, "else": field}


@cache
def _source() -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for kind, source in KINDS.items():
        own = fields_schema(source)
        fields |= {name: own[name] for name in own if name not in fields and name != source.first_field()}
        fields[kind] = {**own[source.first_field()]}
    fields["asset"] |= {"type": ["string", "array"], "items": {"type": "string"}}
    first = {kind: fields.pop(kind) for kind in KINDS}
    own = {"type": "string", "description": "Dotted name of a class of your own; what stands beside it are its fields."}
    ours = {
        **first,
        **fields,
    }  # these rules do not apply to a user's class, which may have a field of the same name
    told = {name: {"description": field["description"]} for name, field in ours.items()}
    return {
        "type": ["object", "string", "null"],
        "properties": {"type": own, **told},
        "if": {"required": ["type"]},
        "else": {"additionalProperties": False, "properties": ours},
    }
