"""A wrong declaration is one clear error: the same in Python and in YAML, where it names the line.

What `told_once` asserts: the error is ours, no other error is chained below it, around it are only those that Dagster
puts around any component's, and nothing of pydantic is printed.
"""

from typing import Any

import pytest
import yaml

from mlops_assets import Folder, Gates, MlopsAssetsError, ModelPipeline, Search
from support.yaml_project import Project, told_once

GOOD: dict[str, Any] = {
    "name": "shop",
    "source": "landing/*.csv",
    "target": "y",
    "estimator": "sklearn.linear_model.Ridge",
}
ABSENT = object()
HOLDOUT = "holdout: Input should be a valid integer or a valid number or a valid string (got [1])"
SOURCES = "the glob of a folder, or one of {folder: data/*.csv}, {frame: package.module:function}"


def case(change: dict[str, Any], line: str, says: str) -> Any:
    """What is changed, the line of the YAML that is named, and what is said."""
    return pytest.param(change, line, says, id=says[:60])


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    return Project(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "change, line, says",
    [
        case({"metric": ["rmse"]}, "metric:", "has no field 'metric'; did you mean 'metrics'?"),
        case({"frobnicate": 1}, "frobnicate: 1", "has no field 'frobnicate' (fields: name, source, target, estimator"),
        case({"target": ABSENT}, "attributes:", "field 'target' is required"),
        case({"target": ABSENT, "targt": "y"}, "targt: y", "has no field 'targt'; did you mean 'target'?"),
        case({"target": ["y"]}, "target:", "target: Input should be a valid string (got ['y'])"),
        case({"target": None}, "target: null", "target: Input should be a valid string (got None)"),
        case(
            {"optional": ["snow", "y"]},
            "optional:",
            "column 'y' is declared as target: it cannot be optional",
        ),
        case({"name": "Bike Demand"}, "name: Bike Demand", "name: must be lower-case letters, digits and _"),
        case({"name": "../bike"}, "name: ../bike", "name: must be lower-case letters, digits and _"),
        case(
            {"estimator": "nowhere.Model"},
            "estimator: nowhere.Model",
            "estimator: 'nowhere.Model': there is no module 'nowhere'.",
        ),
        case(
            {"estimator": "Ridge"},
            "estimator: Ridge",
            "estimator: 'Ridge' is not a dotted name; expected e.g. 'sklearn.",
        ),
        case(
            {"estimator": "yaml:sfe_dump"},
            "estimator: yaml:sfe_dump",
            "estimator: 'yaml:sfe_dump': yaml has no 'sfe_dump'. Did you mean",
        ),
        case(
            {"features": "yaml:nothing"}, "features: yaml:nothing", "features: 'yaml:nothing': yaml has no 'nothing'."
        ),
        case(
            {"features": "nowhere:f"},
            "features: nowhere:f",
            "features: 'nowhere:f': there is no module 'nowhere'. Install it",
        ),
        case({"features": "numpy:pi"}, "features: numpy:pi", "features: 'numpy:pi' is a float; expected a function"),
        case({"features": "lags"}, "features: lags", "features: expected a function, or its name such as"),
        case({"expectations": "yaml:nix"}, "expectations: yaml:nix", "expectations: 'yaml:nix': yaml has no 'nix'."),
        case(
            {"expectations": {"type": "x"}}, "expectations:", "expectations: expected an ExpectationSuite or a list of"
        ),
        case(
            {"expectations": "/no/such/suite.yaml"}, "expectations: /no/such/suite.yaml", "expectations: /no/such/suite"
        ),
        case({"source": None}, "source: null", f"source: expected a source, got NoneType; write {SOURCES}"),
        case({"source": 7}, "source: 7", f"source: expected a source, got int; write {SOURCES}"),
        case(
            {"source": {"foldr": "x"}}, "source:", f"source: its kind is missing (found: 'foldr'); expected {SOURCES}"
        ),
        case({"source": {}}, "source: {}", f"source: its kind is missing (found: nothing); expected {SOURCES}"),
        case(
            {"source": {"folder": "a", "table": "b"}},
            "source:",
            "source: has two kinds, 'folder' and 'table'; expected",
        ),
        case(
            {"source": {"folder": "a", "perod": "day"}},
            "perod: day",
            "source: has no field 'perod'; did you mean 'period'?",
        ),
        case(
            {"source": {"folder": "a", "period": "hour"}},
            "period: hour",
            "source: period: Input should be 'day'",
        ),
        case(
            {"source": {"folder": "a", "period": "day"}},
            "source:",
            "source: period 'day' needs `time`, the column that",
        ),
        case(
            {"outcomes": {"folder": "a", "period": "day"}, "key": ["id"], "time": "t"},
            "outcomes:",
            "outcomes: period 'day' needs `time`, the column that",
        ),
        case({"source": "sftp://host/*.csv"}, "source: sftp://host/*.csv", "source: path: begins with 'sftp:'"),
        case(
            {"source": {"table": "orders", "url": "$U"}},
            "source:",
            "source: it is not declared what a batch is: declare",
        ),
        case({"source": {"asset": "lake//x"}}, "source:", "source: key: is not the key of an asset; expected one such"),
        case(
            {"outcomes": {"folder": "late/*.csv"}}, "outcomes:", "outcomes needs `key`, the columns by which labels are"
        ),
        case({"outcomes": 7, "key": ["id"]}, "outcomes: 7", f"outcomes: expected a source, got int; write {SOURCES}"),
        case(
            {"metrics": ["nowhere:cost"]},
            "metrics:",
            "metrics: 'nowhere:cost': there is no module 'nowhere'. Install it, or",
        ),
        case(
            {"metrics": ["numpy:pi"]},
            "metrics:",
            "metrics: 'numpy:pi' is a float; expected a function (y_true,",
        ),
        case(
            {"gates": {"maximum": {"yaml:sfe_dump": 1}}},
            "gates:",
            "gates: 'yaml:sfe_dump': yaml has no 'sfe_dump'. Did you mean",
        ),
        case({"window": "two weeks"}, "window: two weeks", "window: must be a duration such as '12h', '30D' or '26W'"),
        case({"window": "30D"}, "window: 30D", "'30D' is a duration: declare `time`, or give a number of batches"),
        case({"holdout": 1.5}, "holdout: 1.5", "holdout: as a share must be below 1"),
        case({"holdout": [1]}, "holdout:", HOLDOUT),
        case({"lookback": "7D"}, "lookback: 7D", "lookback needs `features` (which gets the history) and `time`"),
        case({"key": ["y"]}, "target: y", "target 'y' is also declared as key, time or drop"),
        case({"group": "y"}, "group: y", "target 'y' is also declared as group"),
        case({"known_at": "seen"}, "known_at: seen", "known_at needs `time`: a label is used where it was known"),
        case({"seed": "seven"}, "seed: seven", "seed: Input should be a valid integer, unable to parse string"),
        case({"pages": "nevr"}, "pages: nevr", "pages: Input should be 'on_alarm', 'always' or 'never' (got 'nevr')"),
        case(
            {"owners": ["bob"]}, "owners:", "owners: each must be an e-mail address, or a team such as 'team:mobility'"
        ),
        case({"where": {"region": []}}, "where:", "where: 'region' has no values; give one, or a list of them"),
        case(
            {"where": {"region": {"ne": 1}}}, "where:", "where: Input should be a valid string or a valid integer or a"
        ),
        case(
            {"where": "region == 1"},
            "where: region == 1",
            "where: Input should be a valid dictionary (got 'region == 1')",
        ),
        case({"gates": {"min_gian": 1}}, "min_gian: 1", "gates: has no field 'min_gian'; did you mean 'min_gain'?"),
        case({"gates": 3}, "gates: 3", "gates: Input should be a valid dictionary or instance of Gates (got 3)"),
        case(
            {"gates": {"minimum": {"r2": float("nan")}}}, "minimum:", "gates: minimum: Input should be a finite number"
        ),
        case({"gates": {"beats": ["dumy"]}}, "- dumy", "gates: beats: Input should be 'dummy', 'previous' or 'linear'"),
        case({"gates": {"guards": {"mae": -1}}}, "guards:", "gates: guards: the tolerance of 'mae' must be 0 or more"),
        case(
            {"gates": {"slice_tolerance": -1}}, "slice_tolerance: -1", "gates: slice_tolerance: Input should be greater"
        ),
        case(
            {"gates": {"min_gain": 1, "no_worse_by": 1}},
            "no_worse_by: 1",
            "gates: min_gain asks for a better model, no_",
        ),
        case({"drift": {"season": ["hour"]}}, "drift:", "drift's season needs `time`, whose hour, weekday or month"),
        case(
            {"drift": {"season": ["tide"]}, "time": "d"},
            "- tide",
            "drift: season: Input should be 'hour', 'weekday' or",
        ),
        case(
            {"drift": {"period": "a quarter"}}, "period: a quarter", "drift: period: must be a duration such as '12h'"
        ),
        case(
            {"retraining": {"cron": "at 3"}},
            "cron: at 3",
            "retraining: cron: must be a cron string of five fields, such",
        ),
        case(
            {"retraining": {"timezone": "Mars"}}, "timezone: Mars", "retraining: timezone: must be a time zone such as"
        ),
        case({"retraining": {"confirm": [3, 2]}}, "confirm:", "retraining: confirm: must be (k, n) with 1 <= k <= n"),
        case({"search": {"trials": 3}}, "search:", "search: field 'space' is required"),
        case(
            {"search": {"space": {"a": [1]}, "method": "gird"}},
            "method: gird",
            "search: method: Input should be 'grid'",
        ),
    ],
)
def test_wrong_declaration_is_one_clear_error(change, line, says, project):
    fields = {name: value for name, value in {**GOOD, **change}.items() if value is not ABSENT}
    with pytest.raises(MlopsAssetsError) as refused:
        ModelPipeline(**fields).build_defs()
    in_python = told_once(refused.value)
    assert in_python.startswith(f"ModelPipeline {fields['name']!r}: {says}")
    assert in_python.count("ModelPipeline") == 1

    project.declare("shop", fields)
    told_line, in_yaml = project.told_at("shop")
    assert told_line == line
    assert in_yaml == in_python


def test_all_that_is_wrong_is_told_each_with_its_line(project):
    project.declare("shop", {**GOOD, "metric": ["rmse"], "seed": "x", "gates": {"min_gian": 1}})
    at = f"{project.name}/defs/shop/defs.yaml"
    assert project.error().splitlines() == [
        f"{at}:7: ModelPipeline 'shop': has no field 'metric'; did you mean 'metrics'?",
        f"{at}:9: ModelPipeline 'shop': seed: Input should be a valid integer, unable to parse string as an integer "
        "(got 'x')",
        f"{at}:11: ModelPipeline 'shop': gates: has no field 'min_gian'; did you mean 'min_gain'?",
    ]


def test_parts_that_are_declared_alone_name_themselves():
    with pytest.raises(MlopsAssetsError, match=r"^Gates: has no field 'min_gian'; did you mean 'min_gain'\?$"):
        Gates(min_gian=1)
    with pytest.raises(MlopsAssetsError, match=r"^Search: trials: Input should be greater than or equal to 1"):
        Search({"alpha": [1]}, trials=0)
    with pytest.raises(MlopsAssetsError, match=r"^Folder 'a': has no field 'perod'; did you mean 'period'"):
        Folder("a", perod="day")


def test_names_of_fields_that_are_no_texts_are_told():
    with pytest.raises(MlopsAssetsError, match=r"^ModelPipeline 'shop': gates: the name 1 is not text$"):
        ModelPipeline(**{**GOOD, "gates": {1: 2}})


def test_component_without_attributes_says_what_it_needs(project):
    project.declare("shop", None)
    lines = project.error().splitlines()
    assert [line.partition(": ")[2] for line in lines] == [
        f"ModelPipeline: field '{field}' is required" for field in ("name", "source", "target", "estimator")
    ]


@pytest.mark.promise(7)
@pytest.mark.fault(64)
def test_no_password_of_a_source_is_told(project):
    wrong = {"table": "orders", "url": "postgresql://me:s3cret@db/shop", "high_watermark": "id", "limits": "many"}
    for change in ({"source": wrong}, {"segments": [{"name": "n", "source": wrong}]}, {"segments": {"source": wrong}}):
        project.declare("shop", {**GOOD, **change})
        assert "s3cret" not in project.error()
        with pytest.raises(MlopsAssetsError) as refused:
            ModelPipeline(**{**GOOD, **change})
        assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("other", ["yaml", "python"])
def test_two_models_of_one_name_are_one_clear_error_that_says_where(other, project):
    project.declare("one", GOOD)
    if other == "yaml":
        project.declare("two", {**GOOD, "target": "z"})
        project.declare("platform", None, "mlops_assets.Deployment")
        assert project.error().startswith(f"{project.name}/defs/two/defs.yaml:2: two models of this code location are ")
    else:
        project.write("two/model.py", PYTHON.format(**GOOD))
        project.declare("platform", None, "mlops_assets.Deployment")
        assert project.error().startswith(
            f"{project.name}/defs/platform/defs.yaml:1: two models of this code location "
        )
    assert "are called 'shop': one[0] and two" in project.error() and project.error().endswith("Rename one.")


PYTHON = """
import dagster as dg

from mlops_assets import ModelPipeline


@dg.definitions
def defs():
    return ModelPipeline(name="{name}", source="{source}", target="{target}", estimator="{estimator}").build_defs()
"""


def test_unknown_component_and_unknown_public_name_say_what_there_is(project):
    import mlops_assets

    with pytest.raises(
        AttributeError, match=r"module 'mlops_assets' has no attribute 'ModelPipelin' .it has: Delta, Deployment"
    ):
        mlops_assets.ModelPipelin  # noqa: B018


@pytest.mark.slow
@pytest.mark.parametrize(
    "change, says",
    [
        ({"metric": ["rmse"]}, "has no field 'metric'; did you mean 'metrics'?"),
        (
            {"features": "nowhere:f"},
            "features: 'nowhere:f': there is no module 'nowhere'. Install it, or correct the name.",
        ),
        ({"retraining": {"cron": "at 3"}}, "retraining: cron: must be a cron string of five fields"),
    ],
)
def test_dg_check_defs_shows_the_error_and_nothing_from_inside(change, says, project):
    text = project.declare("shop", {**GOOD, **change})
    assert yaml.safe_load(text)["attributes"]["name"] == "shop"
    done = project.dg("check", "defs", "--no-check-yaml")
    printed = done.stdout + done.stderr
    assert done.returncode == 1
    assert printed.count(f"ModelPipeline 'shop': {says}") == 1
    assert "pydantic" not in printed and "ValidationError" not in printed
    assert printed.count("was caused by the following exception") == 1  # ours, of Dagster's "Error while loading"
    ours = [line for line in printed.splitlines() if "mlops_assets/" in line and 'File "' in line]
    assert len(ours) == 1 and "defs_yaml.py" in ours[0] and "in load" in ours[0]
