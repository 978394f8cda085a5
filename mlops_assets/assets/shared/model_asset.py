"""`model_asset`: the decorator of each step of a model."""

from collections.abc import Callable, Sequence, Set
from typing import Any

import dagster as dg

from mlops_assets.assets.shared.keys import BATCH_ASSETS, FRAMES, MODEL, asset_key, batches
from mlops_assets.assets.shared.like_the_first import Options, step_asset
from mlops_assets.assets.shared.this_run import needs_steps
from mlops_assets.declaration import Declaration
from mlops_assets.text import inert

Asset = dg.AssetsDefinition | dg.AssetSpec


def model_asset(
    model: Declaration,
    kind: str,
    *,
    description: str,
    code_version: str,
    kinds: set[str],
    deps: Sequence[dg.AssetKey | dg.AssetDep] = (),
    check_specs: Sequence[dg.AssetCheckSpec] = (),
    partitions_def: dg.PartitionsDefinition | None = None,
    output_required: bool = True,
    required_resource_keys: Set[str] = frozenset(),
    pool: str | None = None,
) -> Callable[[Callable[..., Any]], Asset]:
    """Return `@dg.asset` with what all assets of a model share; those of a batch have a partition for each batch.

    In a run of another model the asset is named only: see `this_run`.
    """
    if kind in BATCH_ASSETS:
        partitions_def = batches(model.name)
    spec = dg.AssetSpec(
        asset_key(model.name, kind),
        deps=deps,
        description=inert(description),
        metadata={MODEL: model.name},
        group_name=model.name,
        code_version=code_version,
        owners=model.owners,
        kinds=kinds,
        partitions_def=partitions_def,
        skippable=not output_required,
    )
    io_manager_key = "mlops_batches" if kind in FRAMES else "io_manager"
    if not needs_steps(model.name):
        return lambda _: spec.with_io_manager_key(io_manager_key) if kind in FRAMES else spec
    options = Options(spec, check_specs, frozenset(required_resource_keys), io_manager_key, pool)
    return lambda function: step_asset(function, options)
