"""What an upstream asset recorded: by this run if it took part, else the newest."""

from typing import Any

import dagster as dg

from mlops_assets.errors import TrainingError

_LOOK_BACK = 50


def recorded(context: dg.AssetExecutionContext, key: dg.AssetKey) -> dict[str, Any]:
    """Return the metadata of the upstream materialisation that this run must build on, as plain values.

    Two runs of one model may overlap, and each must judge the version that it trained: its own materialisation counts.
    """
    newest = context.instance.fetch_materializations(key, limit=_LOOK_BACK).records
    if not newest:
        raise TrainingError(f"{key.to_user_string()} is not materialised: materialise it first, or run the whole job")
    own = [record for record in newest if record.run_id == context.run.run_id]
    materialization = (own or newest)[0].asset_materialization
    assert materialization is not None  # fetch_materializations returns nothing else
    return {name: value.value for name, value in materialization.metadata.items()}
