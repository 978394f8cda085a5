"""`model_card`: what the champion is, on one page: data, metrics, limits, lineage, who decided."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from mlops_assets.assets.shared.drawing import drawn
from mlops_assets.assets.shared.keys import asset_key
from mlops_assets.assets.shared.metadata import markdown_text, metadata, table, version_link
from mlops_assets.assets.shared.model_asset import Asset, model_asset
from mlops_assets.assets.training.evaluation import SLICES
from mlops_assets.declaration import Declaration
from mlops_assets.errors import ArtifactError, RegistryError
from mlops_assets.modelling.manifest import BatchInfo, Manifest
from mlops_assets.records.manifests import read_manifest
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.promotions import Promotion
from mlops_assets.resources import MlflowRegistry, Storage
from mlops_assets.resources.mlflow.model_version import ModelVersion

_IN_PLACE = ("Predicts", "Estimator", "Trained on", "Judged on", "Decision")


def model_card_asset(model: Declaration) -> Asset:
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
        trained_on, judged_on = (read_manifest(records, version.data_version) for version in (champion, judged))
        logged = mlflow_registry.metrics(judged.run_id)
        metrics = {name: value for name, value in sorted(logged.items()) if not name.endswith("_rows")}
        facts = _facts(model, promotion, trained_on, judged_on)

        def card() -> dg.MarkdownMetadataValue:
            written = _card(model, facts, judged_on, metrics, _slices(judged, mlflow_registry))
            mlflow_registry.log_text(champion.run_id, "model_card.md", written)
            return dg.MetadataValue.md(written)

        return dg.MaterializeResult(
            data_version=dg.DataVersion(champion.digest),
            metadata=metadata(
                {
                    "version": champion.version,
                    "metrics": table({"metric": name, "on the holdout": value} for name, value in metrics.items()),
                    **{name.lower().replace(" ", "_"): facts[name] for name in _IN_PLACE},
                    "sample": facts.get("Sample"),
                    **drawn("card", card),
                    "mlflow_version": version_link(champion, mlflow_registry),
                    "digest": champion.digest[:16],
                }
            ),
        )

    return model_card


def _facts(model: Declaration, promotion: Promotion, trained_on: Manifest, judged_on: Manifest) -> dict[str, str]:
    champion, tags = promotion.as_version(model.name), promotion.tags
    later = "later than all that it was trained on"
    if champion.refit_of:
        later = f"as version {champion.refit_of}, which this is the refit of, with these rows"
    return {
        "Version": f"{champion.version}, sha256 {champion.digest[:16]}",
        "Owners": ", ".join(model.owners) or "none declared",
        "Predicts": f"{model.target} from {model.source.describe()}",
        "Estimator": model.estimator if isinstance(model.estimator, str) else model.estimator.__qualname__,
        "Trained on": _extent(trained_on.train),
        "Judged on": f"{_extent(judged_on.holdout)}, {later}",
        **({"Sample": sample} if (sample := _sample(champion)) else {}),
        "Decision": f"promotion {promotion.number} ({promotion.how}) by {promotion.by} at {promotion.done}: "
        f"{promotion.reason}",
        "Data version": champion.data_version,
        "Declaration version": champion.declaration_version,
        "Seed": tags.get("seed", "not on record"),
        "Packages": tags.get("packages", "not on record"),
    }


def _sample(champion: ModelVersion) -> str:
    """Say of which rows the champion was fitted and judged on a sample; "" for all rows."""
    judged = champion.judged.sample if champion.refit_of else ""
    return "; ".join(text for text in (champion.sample, judged and f"as judged: {judged}") if text)


def _slices(judged: ModelVersion, registry: MlflowRegistry) -> list[dict[str, str]]:
    """Return the metrics by slice that a version's evaluation logged; empty if it declared no slices."""
    try:
        rows: list[dict[str, str]] = json.loads(registry.artifact(judged.run_id, SLICES).read_text())
    except ArtifactError:
        return []
    return rows


def _card(
    model: Declaration,
    facts: Mapping[str, str],
    judged_on: Manifest,
    metrics: Mapping[str, float],
    slices: Sequence[Mapping[str, str]],
) -> str:
    first, last = markdown_text(judged_on.train[0].key), markdown_text(judged_on.holdout[-1].key)
    figures = [(name, f"{value:.5g}") for name, value in metrics.items()]
    lines = [f"# {model.name}", "", markdown_text(model.description), "", *_markdown_table(("", ""), facts.items())]
    lines += ["", "## Metrics on the holdout", "", *_markdown_table(("metric", "value"), figures)]
    if slices:
        lines += ["", "## By slice", "", *_markdown_table(slices[0], [row.values() for row in slices])]
    lines += ["", "## Limits", ""]
    lines.append(
        f"Not judged on rows unlike those from {first} to {last}: see `{model.name}/drift` for how later batches "
        f"differ and `{model.name}/performance` for how well it does on them."
    )
    return "\n".join(lines)


def _markdown_table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    head, *body = ([markdown_text(cell) for cell in row] for row in (header, *rows))
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *body)]


def _extent(batches: Sequence[BatchInfo]) -> str:
    rows, used = sum(batch.labelled for batch in batches), sum(batch.labelled * batch.share for batch in batches)
    sampled = "" if used == rows else f"a sample ({used / rows:.1%}) of "
    if len(batches) == 1:
        return f"{sampled}{rows:,} labelled rows of batch {batches[0].key}"
    return f"{sampled}{rows:,} labelled rows of {len(batches)} batches, {batches[0].key} to {batches[-1].key}"
