"""The JSON schema of the pack's components, with which `dg check yaml` checks and editors complete a defs.yaml."""

from collections.abc import Callable, Mapping, Sequence
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
SEGMENTS = (
    "Many models from one declaration: each segment has a name, usually a `where`, and any other field, which replaces "
    "the shared one; mappings are merged. Its model is called <name>_<segment>."
)


def attributes_class(schema: Callable[[], JsonSchemaValue]) -> type[BaseModel]:
    """Return the class of a component's attributes as written; its declaration reports what is wrong with them."""

    class Attributes(RootModel[dict[str, Any]]):
        @classmethod
        def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> JsonSchemaValue:
            return schema()

    return Attributes


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
    suffix = {"type": "string", "description": "The second part of the model's name: <name>_<segment>."}
    segment = mapping({**fields, "name": suffix}, ["name"])
    fields["segments"] = {"type": "array", "minItems": 1, "items": segment, "description": SEGMENTS}
    return {"title": "ModelPipeline", **mapping(fields, ["name", "source", "target", "estimator"])}


ModelAttributes = attributes_class(model_schema)


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
        plain["properties"] = {name: _or_template(_plain(part, defs)) for name, part in plain["properties"].items()}
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
    about: dict[str, Any] = {key: field.pop(key) for key in ("description", "default") if key in field}
    return {**about, "if": _TEMPLATE, "else": field}


@cache
def _source() -> dict[str, Any]:
    options = {kind: fields_schema(source) for kind, source in KINDS.items()}
    built_in = {kind: options[kind].pop(source.first_field()) for kind, source in KINDS.items()}
    built_in["asset"] |= {"type": ["string", "array"], "items": {"type": "string"}}
    for own_options in reversed(options.values()):  # of equal names the first counts
        built_in |= own_options
    own = {"type": "string", "description": "Dotted name of a class of your own; the keys beside it are its fields."}
    about = {name: {"description": field["description"]} for name, field in built_in.items()}
    return {
        "type": ["object", "string", "null"],
        "properties": {"type": own, **about},
        "if": {"required": ["type"]},  # a user's class may have a field of the same name as a built-in source
        "else": {"additionalProperties": False, "properties": built_in},
    }
