"""`segments`: many models from one declaration, each with fields of its own."""

import dagster as dg
import pytest

from mlops_assets import Folder, Gates, MlopsAssetsError, ModelPipeline, Table
from support.yaml_project import told_once

SALES = {
    "name": "sales",
    "source": {"folder": "data/*.csv", "period": "month"},
    "time": "day",
    "target": "y",
    "estimator": "sklearn.linear_model.Ridge",
    "params": {"alpha": 1.0, "fit_intercept": True},
    "gates": {"min_gain": 0.5, "maximum": {"rmse": 9}},
    "where": {"country": "AT"},
}


def segments(*declared, **changed) -> dict[str, ModelPipeline]:
    """The models of these segments by name."""
    return {model.name: model for model in ModelPipeline(**{**SALES, **changed}, segments=list(declared)).models}


def test_each_segment_is_a_model_with_its_filter_beside_that_of_all():
    models = segments({"name": "north", "where": {"region": "north"}}, {"name": "south", "where": {"region": "south"}})
    assert list(models) == ["sales_north", "sales_south"]
    assert models["sales_north"].where == {"country": "AT", "region": "north"}
    assert models["sales_south"].where == {"country": "AT", "region": "south"}
    assert models["sales_north"].training_version != models["sales_south"].training_version


def test_segment_is_the_model_that_one_would_declare_alone():
    models = segments({"name": "north", "where": {"region": "north"}, "seed": 3})
    alone = ModelPipeline(**{**SALES, "name": "sales_north", "where": {"country": "AT", "region": "north"}, "seed": 3})
    assert models["sales_north"] == alone


def test_mappings_are_merged_deeply_and_all_else_is_replaced():
    model = segments(
        {
            "name": "north",
            "gates": {"maximum": {"mae": 7}},
            "params": {"alpha": 2.0},
            "metrics": ["mae"],
            "time": "week",
        },
        metrics=["rmse", "r2"],
    )["sales_north"]
    assert model.gates == Gates(min_gain=0.5, maximum={"rmse": 9, "mae": 7})
    assert model.params == {"alpha": 2.0, "fit_intercept": True}
    assert model.metrics == ["mae"]
    assert model.source == Folder("data/*.csv", period="month", time="week")


def test_source_of_the_same_kind_keeps_what_is_not_said_anew_and_one_of_another_kind_nothing():
    orders = {"url": "$URL", "high_watermark": "id"}
    models = segments(
        {"name": "north", "source": {"folder": "north/*.csv"}},
        {"name": "south", "source": {"table": "orders", **orders}},
        {"name": "west", "source": {"query": "SELECT * FROM orders", **orders}},
    )
    assert models["sales_north"].source == Folder("north/*.csv", period="month", time="day")
    assert models["sales_south"].source == Table("orders", url="$URL", high_watermark="id", time="day")
    assert models["sales_west"].source.query == "SELECT * FROM orders"


def test_parts_that_are_objects_are_merged_as_well():
    model = segments({"name": "north", "gates": {"min_gain": 0.1}}, gates=Gates(maximum={"rmse": 5}))["sales_north"]
    assert model.gates == Gates(min_gain=0.1, maximum={"rmse": 5})


def test_suite_that_is_not_there_yet_is_written_for_each_segment_on_its_own(tmp_path, monkeypatch):
    shared = tmp_path / "suite.yaml"
    models = segments({"name": "north"}, {"name": "south", "expectations": "s.yaml"}, expectations=str(shared))
    assert models["sales_north"].expectations == str(tmp_path / "suite_north.yaml")
    assert models["sales_south"].expectations == "s.yaml"
    shared.write_text("expectations: []")
    assert segments({"name": "north"}, expectations=str(shared))["sales_north"].expectations == str(shared)
    (tmp_path / "suites_of_north.py").write_text("def expectations(rows):\n    return []\n")
    monkeypatch.syspath_prepend(tmp_path)
    named = segments({"name": "north"}, expectations="suites_of_north:expectations")
    assert callable(named["sales_north"].expectations)


def test_segments_build_the_assets_of_their_models_and_none_of_the_common_name(project):
    project.declare("sales", {**SALES, "segments": [{"name": "north"}, {"name": "south", "approval": "required"}]})
    project.declare("platform", None, "mlops_assets.Deployment")
    defs = project.defs()
    assert {key.path[0] for key in defs.resolve_all_asset_keys()} == {"sales_north", "sales_south"}
    jobs = {job.name for job in defs.resolve_all_job_defs()}
    assert "sales_south_approve" in jobs and "sales_north_approve" not in jobs


@pytest.mark.parametrize(
    "declared, key, says",
    [
        ([], "segments: []", "segments: is empty; leave it out for a single model"),
        (
            [{"name": "n"}, {"name": "n"}],
            "- name: n",
            "segments: the 2. is called 'n', as is the 1.; give each a name of its own",
        ),
        ([{"name": "n"}, {"seed": 1}], "- seed: 1", "segments: the 2. has no name; expected a text such as 'north'"),
        ([{"name": "n", "seed": "x"}], "seed: x", "segment 'n': seed: Input should be a valid integer"),
        ([{"name": "n", "tagret": "x"}], "tagret: x", "segment 'n': has no field 'tagret'; did you mean 'target'?"),
        (
            [{"name": "n", "gates": {"min_gian": 1}}],
            "min_gian: 1",
            "segment 'n': gates: has no field 'min_gian'; did you mean",
        ),
        ([{"name": "North!"}], "- name: North!", "segment 'North!': name: must be lower-case letters, digits and _"),
        (
            [{"name": "n", "segments": [{"name": "m"}]}],
            "segments:",
            "segments: the 1. has segments of its own; list them all",
        ),
        (
            [{"name": "n", "time": None, "window": "30D"}],
            "window: 30D",
            "segment 'n': '30D' is a duration: declare `time`",
        ),
        ("north", "segments: north", "segments: Input should be a valid list (got 'north')"),
        (["north"], "- north", "segments: Input should be a valid dictionary (got 'north')"),
    ],
)
def test_wrong_segments_are_told_with_their_line_and_name(declared, key, says, project):
    with pytest.raises(MlopsAssetsError) as refused:
        ModelPipeline(**SALES, segments=declared)
    assert told_once(refused.value).startswith(f"ModelPipeline 'sales': {says}")
    project.declare("sales", {**SALES, "segments": declared})
    (line, said) = project.told_at("sales")
    assert line == key
    assert said.startswith(f"ModelPipeline 'sales': {says}")


def test_what_is_wrong_for_all_segments_is_told_once():
    with pytest.raises(MlopsAssetsError) as refused:
        ModelPipeline(**{**SALES, "seed": "x"}, segments=[{"name": "north"}, {"name": "south"}])
    assert str(refused.value).count("seed") == 1


def test_five_hundred_segments_are_five_hundred_models(project):
    # Building them costs what 500 models in Python cost, which is Dagster's time for 5,500 assets.
    project.declare("sales", {**SALES, "segments": [{"name": f"s{n}", "where": {"shop": n}} for n in range(500)]})
    tree = dg.ComponentTree.for_project(project.root)
    (component,) = tree.get_all_components(of_type=ModelPipeline)
    assert len(component.models) == 500
    assert component.models[499].where == {"country": "AT", "shop": 499}
