"""What the UI shows of every model without being asked: who owns what, what each asset is, rows, columns, lineage."""

import dagster as dg
import pytest

from mlops_assets.assets.shared.keys import BATCH_ASSETS, TRAINING_ASSETS, asset_key, batches
from support.deployment import DeployedModel, Deployment, failed
from support.synthetic import rows


def with_ratio(batch, history):
    return batch[["x", "z"]].assign(sum=batch["x"] + batch["z"])


@pytest.fixture(scope="module")
def model(deployment: Deployment) -> DeployedModel:
    """One life of a model: batches, a champion, a later batch."""
    model = deployment.model(
        "shown", owners=["team:shop", "ada@example.org"], slices=["colour"], features=with_ratio, pages="never"
    )
    model.prepare(b1=rows(1), b2=rows(2, 180))
    result = model.train()
    assert result.success, failed(result)
    assert model.take_in(model.land("b3", rows(3))).success
    return model


def test_every_asset_says_what_it_is_and_whose(model):
    specs = {spec.key: spec for spec in model.defs.resolve_all_asset_specs()}
    assert set(specs) == {asset_key("shown", kind) for kind in (*BATCH_ASSETS, *TRAINING_ASSETS, "policy_backtest")}
    for key, spec in specs.items():
        assert spec.group_name == "shown"
        assert list(spec.owners) == ["team:shop", "ada@example.org"]
        assert len(spec.description) > 20 and "shown" in spec.description
        assert spec.kinds and spec.code_version, key
        expected = batches("shown") if key.path[-1] in BATCH_ASSETS else None
        assert spec.partitions_def == expected


def test_every_check_says_what_it_checks(model):
    checks = [spec for key in (*BATCH_ASSETS, *TRAINING_ASSETS) for spec in specs_of(model, key)]
    assert len(checks) >= 21
    assert [spec.name for spec in checks if not spec.description] == []
    not_blocking = {spec.name for spec in checks if not spec.blocking}
    assert not_blocking == {
        *("first_look", "no_drift", "no_decay", "registry_intact", "no_overlap", "features_earn"),
        *("beats_baseline", "quality", "has_champion"),  # verdicts on a model: its run goes well
    }


def specs_of(model: DeployedModel, kind: str) -> list[dg.AssetCheckSpec]:
    return list(model.defs.resolve_assets_def(asset_key("shown", kind)).check_specs)


def test_code_versions_change_with_what_they_stand_for(deployment):
    def versions(**declared):
        specs = deployment.model("versions", **declared).defs.resolve_all_asset_specs()
        return {spec.key.path[-1]: spec.code_version for spec in specs}

    plain, other = versions(), versions(params={"alpha": 2.0})
    assert {kind for kind in plain if plain[kind] != other[kind]} == {
        *("training_set", "challenger", "evaluation", "champion", "model_card")
    }
    changed = versions(features=with_ratio)
    assert changed["features"] != plain["features"] and changed["dataset"] == plain["dataset"]


def test_batch_assets_show_rows_columns_and_a_preview(model):
    for kind, columns in (
        ("dataset", ["id", "day", "x", "z", "colour", "y", "bought"]),
        ("features", ["x", "z", "sum"]),
        ("predictions", ["day", "id", "colour", "prediction", "score", "model_version", "model_digest"]),
    ):
        shown = model.shown(kind)
        assert shown["dagster/row_count"] == 60
        assert [column.name for column in shown["dagster/column_schema"].columns] == columns
        assert len(shown["preview"]) == 5 and set(shown["preview"][0]) <= set(columns)
        assert shown["path"].startswith(model.storage.root)


def test_columns_have_lineage(model):
    lineage = model.shown("features")["dagster/column_lineage"].deps_by_column
    assert lineage == {name: [dg.TableColumnDep(asset_key("shown", "dataset"), name)] for name in ("x", "z")}


def test_materialisations_carry_data_versions(model):
    for kind in ("dataset", "features", "training_set", "challenger", "evaluation", "champion"):
        event = model.instance.get_latest_materialization_event(asset_key("shown", kind))
        version = event.asset_materialization.tags["dagster/data_version"]
        assert len(version) >= 16 and set(version) <= set("0123456789abcdef"), kind
    assert model.registry.champion("shown").digest.startswith(version)


def test_plots_and_tables_are_in_the_metadata(model):
    from dagster import MarkdownMetadataValue

    def plots(kind):
        event = model.instance.get_latest_materialization_event(asset_key("shown", kind))
        metadata = event.asset_materialization.metadata.items()
        return {n for n, v in metadata if isinstance(v, MarkdownMetadataValue) and "data:image/png;base64," in v.md_str}

    assert plots("evaluation") >= {"predicted_and_actual_plot", "residuals_plot", "importance_plot"}
    evaluation = model.shown("evaluation")
    assert {row["metric"] for row in evaluation["metrics"]} == {"rmse", "mae"}
    assert {(row["slice"], row["value"]) for row in evaluation["slices"]} == {
        *(("colour", "red"), ("colour", "green"), ("colour", "blue"))
    }
    drift = {row["feature"] for row in model.shown("drift")["features"]}
    assert drift == {"x", "z", "sum", "prediction", "y", "all features together"}
    assert model.shown("champion")["gates"] and model.shown("champion")["history"]
