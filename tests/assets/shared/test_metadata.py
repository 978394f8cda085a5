"""Evidence in plain values becomes what Dagster can store and show."""

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from dagster._serdes import deserialize_value, serialize_value

from mlops_assets.assets.shared.metadata import (
    check_result,
    check_results,
    column_schema,
    markdown_text,
    metadata,
    preview,
    same_columns,
    table,
)
from mlops_assets.checks import CheckOutcome


def values(shown):
    return {name: getattr(value, "value", value) for name, value in shown.items()}


def test_numbers_that_are_not_finite_are_shown_as_text_and_none_is_left_out():
    shown = metadata(
        {"rmse": 1 / 3, "worst": float("inf"), "mean": np.float64("nan"), "rows": np.int64(7), "gone": None}
    )
    assert values(shown) == {"rmse": 0.333333, "worst": "inf", "mean": "nan", "rows": 7}


def test_nested_values_are_plain_and_names_have_no_slash():
    shown = metadata({"a/b": {"x": np.float64(0.5), "when": pd.Timestamp("2024-01-01")}, "list": [1, (2, None)]})
    assert shown["a b"].value == {"x": 0.5, "when": "2024-01-01"}
    assert shown["list"].value == [1, [2, None]]


def test_table_shortens_text_types_columns_and_survives_no_rows():
    shown = table(
        [{"name": "x" * 200, "share": 0.25, "rows": 3, "ok": True}, {"name": None, "share": 1, "rows": 4, "ok": False}]
    )
    assert [(column.name, column.type) for column in shown.schema.columns] == [
        *(("name", "string"), ("share", "float"), ("rows", "int"), ("ok", "bool"))
    ]
    assert len(shown.records[0].data["name"]) <= 80
    assert table([]).records[0].data == {"": "nothing"}


def test_text_of_others_is_literal_in_markdown():
    assert markdown_text("<b>|a|</b>\n[x](javascript:y) `z`") == (
        "&lt;\u200bb&gt;\\|a\\|&lt;\u200b/b&gt; \\[x\\]\u200b(javascript:y) \\`z\\`"
    )


def test_frame_is_shown_with_its_columns():
    frame = pd.DataFrame({"day": pd.to_datetime(["2024-01-01"] * 9), "x": np.arange(9.0), "colour": ["red"] * 9})
    assert len(preview(frame).records) == 5
    assert [column.name for column in column_schema(frame).columns] == ["day", "x", "colour"]
    upstream = {"x": dg.AssetKey(["m", "dataset"])}
    assert same_columns(frame, upstream).deps_by_column == {"x": [dg.TableColumnDep(upstream["x"], "x")]}


def test_check_result_carries_message_severity_and_evidence():
    outcome = CheckOutcome("fresh", False, "3 days old", severity="warn", metadata={"days": 3})
    result = check_result(outcome, dg.AssetKey(["m", "dataset"]))
    assert (result.passed, result.severity, result.description) == (False, dg.AssetCheckSeverity.WARN, "3 days old")
    assert result.metadata["days"].value == 3


@pytest.mark.parametrize("name", ["__class__", "__enum__", "__set__", "__frozenset__", "__mapping_items__"])
@pytest.mark.parametrize("text", ["DagsterRun", "DagsterRunStatus.SUCCESS", "AssetKey"])
def test_no_column_of_the_data_chooses_an_object_when_dagster_reads_metadata_back(name, text):
    frame = pd.DataFrame({"x": [1.5], name: [text]})
    shown = {
        "preview": preview(frame),
        "schema": column_schema(frame),
        "lineage": same_columns(frame, {name: dg.AssetKey("m")}),
        **metadata({"json": {name: {name: [text]}}, name: text}),
    }
    event = dg.AssetMaterialization("m", metadata=shown)
    assert deserialize_value(serialize_value(event), dg.AssetMaterialization) == event
    assert event.metadata["preview"].records[0].data == {"x": 1.5, f"'{name}'": text}


def test_a_run_whose_batch_has_a_column_named_like_a_key_of_dagster_is_read_back():
    @dg.asset
    def rows():
        return dg.MaterializeResult(metadata={"preview": preview(pd.DataFrame({"__class__": ["DagsterRun"]}))})

    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.materialize([rows], instance=instance)
        stored = instance.fetch_materializations(dg.AssetKey("rows"), limit=1).records[0].asset_materialization
        assert stored.metadata["preview"].records[0].data == {"'__class__'": "DagsterRun"}
        assert any(entry.is_dagster_event for entry in instance.all_logs(run.run_id))


def test_checks_name_the_materialisation_that_they_judge_and_together_ask_for_it_once(monkeypatch):
    key, names = dg.AssetKey(["m", "dataset"]), ["early", "first", "second", "third"]

    @dg.asset(
        key=key,
        partitions_def=dg.StaticPartitionsDefinition(["a", "b"]),
        check_specs=[dg.AssetCheckSpec(name, asset=key) for name in names],
    )
    def dataset():
        yield check_result(CheckOutcome("early", True, "fine"), key)
        yield dg.MaterializeResult(asset_key=key)
        yield from check_results([CheckOutcome(name, True, "fine") for name in names[1:]], key)

    lookups = []
    fetch = dg.DagsterInstance.fetch_materializations

    def counted(instance, filters, **how):
        lookups.append(filters)
        return fetch(instance, filters, **how)

    with dg.DagsterInstance.ephemeral() as instance:
        judged = {"a": None, "b": None}
        for partition in ["a", "b", "b", "a", "a"]:
            lookups.clear()
            with monkeypatch.context() as counting:
                counting.setattr(dg.DagsterInstance, "fetch_materializations", counted)
                run = dg.materialize([dataset], instance=instance, partition_key=partition)
            assert len(lookups) == 2  # by the check before the materialisation, and by the three after it
            filters = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition])
            written = instance.fetch_materializations(filters, limit=1).records[0]
            targets = {
                each.check_name: each.target_materialization_data and each.target_materialization_data.storage_id
                for each in run.get_asset_check_evaluations()
            }
            assert targets == dict.fromkeys(names, written.storage_id) | {"early": judged[partition]}
            judged[partition] = written.storage_id
