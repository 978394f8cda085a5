"""`model_card`: what the champion is, on one page: data, metrics, limits, lineage, who decided."""

from typing import Any

import dagster as dg

from mlops_assets.assets.keys import asset_key, model_asset
from mlops_assets.assets.metadata import markdown_text, metadata
from mlops_assets.declaration import Declaration
from mlops_assets.errors import RegistryError
from mlops_assets.resources.mlflow_registry import MlflowRegistry
from mlops_assets.resources.model_version import ModelVersion
from mlops_assets.resources.storage import Storage
from mlops_assets.resources.training_rows import read_manifest


def model_card_asset(model: Declaration) -> dg.AssetsDefinition:
    """A page for those who use the model and those who audit it."""

    @model_asset(
        model,
        "model_card",
        kinds={"markdown"},
        code_version=model.training_version,
        deps=[asset_key(model.name, "evaluation"), asset_key(model.name, "champion")],
        description=f"What the champion of {model.name} is, was trained on and may be used for.",
    )
    def model_card(mlops_storage: Storage, mlflow_registry: MlflowRegistry) -> dg.MaterializeResult[Any]:
        champion = mlflow_registry.champion(model.name)
        if champion is None:
            raise RegistryError(f"{model.name} has no champion to describe: materialise champion first")
        manifest = read_manifest(mlops_storage, model.name, champion.tags["data_version"])
        metrics = mlflow_registry.metrics(champion.run_id)
        card = _card(model, champion, manifest.to_dict(), metrics)
        mlflow_registry.log_text(champion.run_id, "model_card.md", card)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(champion.digest),
            metadata={
                **metadata({"version": champion.version, "digest": champion.digest}),
                "card": dg.MetadataValue.md(card),
                "mlflow_version": dg.MetadataValue.url(mlflow_registry.version_url(model.name, champion.version)),
            },
        )

    return model_card


def _card(model: Declaration, champion: ModelVersion, manifest: dict[str, Any], metrics: dict[str, float]) -> str:
    train, holdout = manifest["train"], manifest["holdout"]
    tags = champion.tags
    facts = {
        "Version": f"{champion.version}, sha256 `{champion.digest[:16]}`",
        "Owners": ", ".join(model.owners) or "none declared",
        "Predicts": f"`{model.target}` from {model.source.describe()}",
        "Estimator": f"`{model.estimator if isinstance(model.estimator, str) else model.estimator.__qualname__}`",
        "Trained on": f"{_rows(train)} labelled rows in {len(train)} batches, {train[0]['key']} to {train[-1]['key']}",
        "Judged on": f"{_rows(holdout)} later labelled rows in {len(holdout)} batches, "
        f"{holdout[0]['key']} to {holdout[-1]['key']}",
        "Decision": f"{tags.get('verdict', '')} by {tags.get('decided_by', '')} at {tags.get('decided_at', '')}: "
        f"{tags.get('reason', '')}",
        "Data version": f"`{tags['data_version']}`",
        "Declaration version": f"`{tags['declaration_version']}`",
        "Seed": tags["seed"],
        "Packages": tags["packages"],
    }
    lines = [f"# {model.name}", "", markdown_text(model.description), "", "| | |", "|---|---|"]
    lines += [f"| {name} | {markdown_text(value, code=True)} |" for name, value in facts.items()]
    lines += ["", "## Metrics on the holdout", "", "| metric | value |", "|---|---|"]
    lines += [f"| {name} | {value:.5g} |" for name, value in sorted(metrics.items())]
    lines += [
        "",
        "## Limits",
        "",
        f"Not judged on rows unlike those from {train[0]['key']} to {holdout[-1]['key']}: see `{model.name}/drift` for "
        f"how later batches differ and `{model.name}/performance` for how well it does on them.",
    ]
    return "\n".join(lines)


def _rows(batches: list[dict[str, Any]]) -> str:
    return f"{sum(batch['labelled'] for batch in batches):,}"
