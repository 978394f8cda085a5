"""The jobs on assets of one model."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from mlops_assets.assets.shared.keys import KIND, MODEL, asset_key
from mlops_assets.dagster_private import NearAssetsJob


def asset_job(
    model: str,
    action: str,
    *kinds: str,
    description: str,
    run_kind: str | None = None,
    config: Mapping[str, Any] | None = None,
) -> NearAssetsJob:
    """Return the job `<model>_<action>` on these kinds of assets; `config` maps a kind to its launchpad's answers."""
    ops = {f"{model}__{kind}": {"config": answers} for kind, answers in (config or {}).items()}
    return NearAssetsJob(
        name=f"{model}_{action}",
        selection=dg.AssetSelection.assets(*(asset_key(model, kind) for kind in kinds)),
        config={"ops": ops} if ops else None,
        executor_def=dg.in_process_executor,  # a process for each step costs about 3 s a step
        tags={MODEL: model, KIND: run_kind or action},
        description=description,
    )
