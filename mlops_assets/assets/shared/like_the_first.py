"""The asset of a step for many models: Dagster looks at the function of the first, and the others are made like it.

`@dg.asset` reads the signature of a function some twenty times and infers types and configuration from it: 1 to 2 ms
an asset, the same for each model. The assets made here are those that `@dg.asset` would make.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import update_wrapper
from inspect import Signature, signature
from types import CodeType
from typing import Any

import dagster as dg

from mlops_assets.dagster_private import DecoratedOpFunction

Function = Callable[..., Any]


@dataclass(frozen=True)
class Options:
    """What a step's asset is made from, beside its function."""

    spec: dg.AssetSpec
    checks: Sequence[dg.AssetCheckSpec]
    required_resource_keys: frozenset[str]
    io_manager_key: str
    pool: str | None

    def key(self, function: Function) -> tuple[CodeType, frozenset[str], bool]:
        """Return what decides on the look of the step: functions of two models have one code."""
        return function.__code__, self.required_resource_keys, not self.checks


@dataclass(frozen=True)
class Look:
    """What Dagster made of the function of the first model."""

    signature: Signature
    config_schema: Any
    required_resource_keys: frozenset[str]
    type_of_result: Any
    check: dg.Out


_AFTER = dg.In(dg.Nothing)
_LOOKS: dict[tuple[CodeType, frozenset[str], bool], Look] = {}


def step_asset(function: Function, options: Options) -> dg.AssetsDefinition:
    """Return the asset that `@dg.asset` makes of the function."""
    key = options.key(function)
    if key not in _LOOKS:
        asset = _first(function, options)
        types = [output.dagster_type for output in asset.op.output_defs]
        resources = frozenset(asset.op.required_resource_keys)
        schema, parameters = asset.op.config_schema, signature(function, eval_str=True)
        _LOOKS[key] = Look(parameters, schema, resources, types[0], dg.Out(types[-1]))
        return asset
    return _like(_LOOKS[key], function, options)


def _first(function: Function, options: Options) -> dg.AssetsDefinition:
    spec = options.spec
    return dg.asset(
        key=spec.key,
        deps=spec.deps,
        description=spec.description,
        metadata=spec.metadata,
        group_name=spec.group_name,
        code_version=spec.code_version,
        owners=spec.owners,
        tags=spec.tags,
        partitions_def=spec.partitions_def,
        output_required=not spec.skippable,
        check_specs=options.checks,
        required_resource_keys=set(options.required_resource_keys),
        io_manager_key=options.io_manager_key,
        pool=options.pool,
    )(function)


def _like(look: Look, function: Function, options: Options) -> dg.AssetsDefinition:
    spec = options.spec
    function.__signature__ = look.signature  # type: ignore[attr-defined]  # Dagster asks for it eight times
    inputs = {"_".join(dep.asset_key.path).replace("-", "_"): dep.asset_key for dep in spec.deps}
    checks = {check.get_python_identifier(): check for check in options.checks}
    result = dg.Out(
        look.type_of_result,
        description=spec.description,
        is_required=not spec.skippable,
        io_manager_key=options.io_manager_key,
        metadata=spec.metadata,
        code_version=spec.code_version,
    )
    operation = dg.OpDefinition(
        compute_fn=DecoratedOpFunction(function),
        name="__".join(spec.key.path).replace("-", "_"),
        ins=dict.fromkeys(inputs, _AFTER),
        outs={"result": result, **dict.fromkeys(checks, look.check)},
        config_schema=look.config_schema,
        description=spec.description,
        required_resource_keys=look.required_resource_keys,
        code_version=spec.code_version,
        pool=options.pool,
    )
    update_wrapper(operation, function)
    return dg.AssetsDefinition(
        keys_by_input_name=inputs,
        keys_by_output_name={"result": spec.key},
        node_def=operation,
        specs=[spec],
        check_specs_by_output_name=checks,
    )
