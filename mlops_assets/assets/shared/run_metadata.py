"""What an upstream asset recorded: by this run if it took part, else the newest."""

from typing import Any

import dagster as dg

from mlops_assets.errors import TrainingError

_LOOK_BACK = 50


def recorded(context: dg.AssetExecutionContext, key: dg.AssetKey) -> dict[str, Any]:
    """Return the metadata of the upstream materialisation that this run must build on, as plain values.

    Two runs of one model may overlap, and each must judge the version that it trained itself. So the run's own
    materialisation takes precedence over a newer one of another run.
    """
    found = context.instance.fetch_materializations(key, limit=_LOOK_BACK).records
    if not found:
        raise TrainingError(
            f"{key.to_user_string()} was never materialised: materialise it first, or run the whole job"
        )
    own = [record for record in found if record.run_id == context.run.run_id]
    materialization = (own or found)[0].asset_materialization
    assert materialization is not None  # fetch_materializations returns nothing else
    return {name: value.value for name, value in materialization.metadata.items()}
