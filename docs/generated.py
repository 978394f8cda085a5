"""Tables of fields, assets, checks, jobs and commands, taken from the code when the site is built.

A page asks for a table by a line such as `<!-- fields: mlops_assets.Gates -->`.
"""

import html
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

_ASKED = re.compile(r"^<!-- (fields|assets|checks|jobs|commands)(?:: (\S+))? -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace what a page asks for by tables: MkDocs' hook."""
    return _ASKED.sub(lambda asked: _TABLES[asked[1]](*([asked[2]] if asked[2] else [])), markdown)


def fields_of(dotted: str) -> str:
    """Return a row for each declared field: its name, type, default and what it means.

    `mlops_assets.Deployment.storage` names the fields of what the field `storage` holds.
    """
    declared = declared_class(dotted)
    rows = [
        (_code(field), _code(type_text(info.annotation)), _default(info), info.description or "")
        for field, info in declared.model_fields.items()
    ]
    return _table(("field", "type", "default", "what it means"), rows)


def declared_class(dotted: str) -> type[BaseModel]:
    """Return the class of a public name, or of a field of one."""
    path = dotted.split(".")
    first = next(number for number, name in enumerate(path) if name[:1].isupper())
    declared: type[BaseModel] = getattr(import_module(".".join(path[:first])), path[first])
    for field in path[first + 1 :]:
        declared = typing.cast(type[BaseModel], declared.model_fields[field].annotation)
    return declared


def type_text(annotation: Any) -> str:
    """Return a type as a reader would write it: `list[str]`, `"grid" | "random"`, `Folder | Frame`."""
    if annotation is type(None):
        return "None"
    if annotation is SecretStr:
        return "str"
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return type_text(arguments[0])
    if origin is typing.Literal:
        return " | ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(dict.fromkeys(type_text(part) for part in arguments))
    if origin is not None and "Callable" in str(origin):
        return "function"
    if origin is not None:
        return f"{origin.__name__}[{', '.join(type_text(part) for part in arguments)}]"
    return "any" if annotation is Any else getattr(annotation, "__name__", str(annotation))


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "**required**"
    default = info.get_default(call_default_factory=True)
    return _code(f"{type(default).__name__}()" if isinstance(default, BaseModel) else repr(default))


def assets_of_a_model() -> str:
    """Return a row for each asset of a model with everything declared."""
    rows = [
        (_code(spec.key.path[-1]), "by batch" if spec.partitions_def else "", _sentence(spec.description))
        for asset in _example().assets or ()
        for spec in asset.specs
    ]
    return _table(("asset", "partitioned", "what it is"), rows)


def checks_of_a_model() -> str:
    """Return a row for each check of a model whose suite has one expectation."""
    specs = [spec for asset in _example().assets or () for spec in asset.check_specs]
    rows = [
        (_code(spec.asset_key.path[-1]), _code(spec.name), "yes" if spec.blocking else "", _sentence(spec.description))
        for spec in specs
    ]
    return _table(("asset", "check", "blocking", "passes when"), rows)


def jobs_of_a_model() -> str:
    """Return a row for each job of a model with everything declared."""
    rows = [(_code(job.name), _sentence(job.description)) for job in _example().jobs or ()]
    return _table(("job", "what it does"), sorted(rows))


def commands() -> str:
    """Return each command of `mlops-assets` with its arguments and options."""
    import typer

    from mlops_assets.cli.main import app

    root: Any = typer.main.get_command(app)
    return "\n\n".join(_command(name, command) for name, command in _all_commands(root))


def _all_commands(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the full name of each command, and the command; `suite export` is one of the group `suite`."""
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from _all_commands(command, f"{above}{name} ")
        else:
            yield above + name, command


def _command(name: str, command: Any) -> str:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and not each.hidden]
    usage = " ".join(["mlops-assets", name, *(_name(each) for each in arguments), "[options]"])
    rows = [(_code(_name(each)), _given(each.default), each.help or "") for each in [*arguments, *options]]
    text = inspect.cleandoc(command.help or "").replace("\b", "")
    return f"## {name}\n\n```text\n{usage}\n```\n\n{text}\n\n{_table(('option', 'default', 'what it is'), rows)}"


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return parameter.metavar or parameter.name.upper()
    return ", ".join([*parameter.opts, *parameter.secondary_opts])


def _given(default: Any) -> str:
    return "" if default is None or default is False or callable(default) else _code(str(default))


def _example() -> Any:
    """Return the definitions of a model that declares everything that adds assets or jobs."""
    from mlops_assets import Folder, ModelPipeline

    return ModelPipeline(
        name="bikes",
        source=Folder("data/bikes/*.csv"),
        outcomes=Folder("data/outcomes/*.csv"),
        key=["id"],
        target="rentals",
        estimator="sklearn.linear_model.Ridge",
        approval="required",
    ).build_defs()


def _sentence(text: str | None) -> str:
    return " ".join((text or "").replace("bikes_", "<model>_").split())


def _code(text: str) -> str:
    """Return code for a cell of a table, where a bar would end the cell."""
    return f"<code>{html.escape(text).replace('|', '&#124;')}</code>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


_TABLES: dict[str, Callable[..., str]] = {
    "fields": fields_of,
    "assets": assets_of_a_model,
    "checks": checks_of_a_model,
    "jobs": jobs_of_a_model,
    "commands": commands,
}
