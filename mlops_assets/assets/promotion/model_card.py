"""`model_card`: what the champion is, on one page: data, metrics, limits, lineage, who decided."""

import json
from typing import Any

import dagster as dg

from mlops_assets.assets.shared.drawing import drawn
from mlops_assets.assets.shared.keys import asset_key, model_asset
from mlops_assets.assets.shared.metadata import link, markdown_text, metadata, table
from mlops_assets.assets.training.evaluation import SLICES
from mlops_assets.declaration import Declaration
from mlops_assets.errors import ArtifactError, RegistryError
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.promotions import Promotion
from mlops_assets.records.rows import read_manifest
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage

_IN_PLACE = ("Predicts", "Estimator", "Trained on", "Judged on", "Decision")


def model_card_asset(model: Declaration) -> dg.AssetsDefinition:
    """Return the asset `model_card`: a page for those who use the model and those who audit it."""

    @model_asset(
        model,
        "model_card",
        kinds={"markdown"},
        code_version=model.training_version,
        deps=[asset_key(model.name, "evaluation"), asset_key(model.name, "champion")],
        description=f"What the champion of {model.name} is, was trained on and may be used for.",
    )
    def model_card(mlops_storage: Storage, mlflow_registry: MlflowRegistry) -> dg.MaterializeResult[Any]:
        records = ModelRecords(model, mlops_storage)
        promotion = records.promotions.champion()
        if promotion is None:
            raise RegistryError(f"{model.name} has no champion to describe: materialise champion first")
        champion = promotion.as_version(model.name)
        judged = champion.judged
        manifest = read_manifest(records, judged.data_version)
        trained = read_manifest(records, champion.data_version)
        logged = mlflow_registry.metrics(judged.run_id)
        metrics = {name: value for name, value in sorted(logged.items()) if not name.endswith("_rows")}
        facts = _facts(model, promotion, trained.to_dict()["train"], manifest.to_dict()["holdout"])

        def card() -> dg.MarkdownMetadataValue:
            written = _card(model, facts, manifest.to_dict(), metrics, _slices(judged, mlflow_registry))
            mlflow_registry.log_text(champion.run_id, "model_card.md", written)
            return dg.MetadataValue.md(written)

        return dg.MaterializeResult(
            data_version=dg.DataVersion(champion.digest),
            metadata={
                **metadata({"version": champion.version}),
                "metrics": table({"metric": name, "on the holdout": value} for name, value in metrics.items()),
                **metadata({name.lower().replace(" ", "_"): facts[name] for name in _IN_PLACE}),
                **drawn("card", card),
                "mlflow_version": link(
                    f"{model.name} version {champion.version}",
                    mlflow_registry.version_url(model.name, champion.version),
                ),
                "digest": champion.digest[:16],
            },
        )

    return model_card


def _facts(
    model: Declaration, promotion: Promotion, train: list[dict[str, Any]], holdout: list[dict[str, Any]]
) -> dict[str, str]:
    champion, tags = promotion.as_version(model.name), promotion.tags
    judged = f"{_extent(holdout)}, later than all that it was trained on"
    if champion.refit_of:
        judged = f"{_extent(holdout)}, as version {champion.refit_of}, which this is the refit of, with these rows"
    return {
        "Version": f"{champion.version}, sha256 {champion.digest[:16]}",
        "Owners": ", ".join(model.owners) or "none declared",
        "Predicts": f"{model.target} from {model.source.describe()}",
        "Estimator": model.estimator if isinstance(model.estimator, str) else model.estimator.__qualname__,
        "Trained on": _extent(train),
        "Judged on": judged,
        "Decision": f"promotion {promotion.number} ({promotion.how}) by {promotion.by} at {promotion.done}: "
        f"{promotion.reason}",
        "Data version": champion.data_version,
        "Declaration version": champion.declaration_version,
        "Seed": tags.get("seed", "not on record"),
        "Packages": tags.get("packages", "not on record"),
    }


def _slices(judged: ModelVersion, registry: MlflowRegistry) -> list[dict[str, str]]:
    """Return the metrics by slice that a version's evaluation logged; empty if it declared no slices."""
    try:
        rows: list[dict[str, str]] = json.loads(registry.artifact(judged.run_id, SLICES).read_text())
    except ArtifactError:
        return []
    return rows


def _card(
    model: Declaration,
    facts: dict[str, str],
    manifest: dict[str, Any],
    metrics: dict[str, float],
    slices: list[dict[str, str]],
) -> str:
    train, holdout = manifest["train"], manifest["holdout"]
    lines = [f"# {model.name}", "", markdown_text(model.description), "", "| | |", "|---|---|"]
    lines += [f"| {name} | {markdown_text(value)} |" for name, value in facts.items()]
    lines += ["", "## Metrics on the holdout", "", "| metric | value |", "|---|---|"]
    lines += [f"| {markdown_text(name)} | {value:.5g} |" for name, value in metrics.items()]
    if slices:
        lines += [
            "",
            "## By slice",
            "",
            f"| {' | '.join(map(markdown_text, slices[0]))} |",
            "|---" * len(slices[0]) + "|",
        ]
        lines += [f"| {' | '.join(map(markdown_text, row.values()))} |" for row in slices]
    lines += [
        "",
        "## Limits",
        "",
        f"Not judged on rows unlike those from {markdown_text(train[0]['key'])} to "
        f"{markdown_text(holdout[-1]['key'])}: see `{model.name}/drift` for "
        f"how later batches differ and `{model.name}/performance` for how well it does on them.",
    ]
    return "\n".join(lines)


def _extent(batches: list[dict[str, Any]]) -> str:
    rows = sum(batch["labelled"] for batch in batches)
    if len(batches) == 1:
        return f"{rows:,} labelled rows of batch {batches[0]['key']}"
    return f"{rows:,} labelled rows of {len(batches)} batches, {batches[0]['key']} to {batches[-1]['key']}"
