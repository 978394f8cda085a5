"""`type: mlops_assets.Deployment` gives a project resources, sensors and schedules for all of its models."""

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster_shared.serdes import serialize_value

from mlops_assets import Deployment, MlopsAssetsError
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from support.yaml_project import Project

DEPLOYMENT = "mlops_assets.Deployment"
ENVIRONMENT = (
    *("MLOPS_ASSETS_HOME", "MLOPS_ASSETS_STORAGE", "MLFLOW_TRACKING_URI"),
    *("MLOPS_ASSETS_MLFLOW_UI", "MLOPS_ASSETS_DAGSTER_UI"),
)
PYTHON = """
import dagster as dg

from mlops_assets import ModelPipeline, Retraining


@dg.definitions
def defs():
    return ModelPipeline(
        name="{name}",
        source="landing/*.csv",
        target="y",
        estimator="sklearn.linear_model.Ridge",
        retraining=Retraining(cron="{cron}"),
    ).build_defs()
"""
INSTANCE = """
import dagster as dg

from mlops_assets import ModelPipeline, Retraining


@dg.component_instance
def one(context: dg.ComponentLoadContext) -> ModelPipeline:
    return ModelPipeline(
        name="{name}",
        source="landing/*.csv",
        target="y",
        estimator="sklearn.linear_model.Ridge",
        retraining=Retraining(cron="{cron}"),
    )
"""


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    for variable in ENVIRONMENT:
        monkeypatch.delenv(variable, raising=False)
    return Project(tmp_path, monkeypatch)


def model(name: str, cron: str | None = None) -> dict[str, object]:
    """The attributes of a model."""
    plain = {"name": name, "source": "landing/*.csv", "target": "y", "estimator": "sklearn.linear_model.Ridge"}
    return {**plain, "retraining": {"cron": cron}} if cron else plain


def schedules(defs: dg.Definitions) -> dict[str, set[str]]:
    """Cron of each schedule to the models that it trains."""
    found = {}
    for schedule in defs.get_repository_def().schedule_defs:
        keys = defs.resolve_job_def(schedule.job_name).asset_layer.executable_asset_keys
        found[str(schedule.cron_schedule)] = {key.path[0] for key in keys}
    return found


@pytest.mark.parametrize("folder", ["aaa", "mmm", "zzz", "mmm/deeper"])
def test_models_in_yaml_and_python_get_their_schedules_wherever_the_deployment_stands(folder, project):
    project.declare("bbb", model("in_yaml", "0 1 * * *"))
    project.write("ccc/model.py", PYTHON.format(name="in_python", cron="0 2 * * *"))
    project.write("ddd/model.py", INSTANCE.format(name="as_instance", cron="0 3 * * *"))
    project.write("nnn.py", PYTHON.format(name="in_a_file", cron="0 1 * * *"))
    segments = [{"name": "north"}, {"name": "south", "retraining": {"cron": "0 5 * * *"}}]
    project.declare("ooo/deep/down", {**model("sales", "0 4 * * *"), "segments": segments})
    project.declare("ppp", model("without_cron"))
    project.declare(folder, None, DEPLOYMENT)
    assert schedules(project.defs()) == {
        "0 1 * * *": {"in_yaml", "in_a_file"},
        "0 2 * * *": {"in_python"},
        "0 3 * * *": {"as_instance"},
        "0 4 * * *": {"sales_north"},
        "0 5 * * *": {"sales_south"},
    }


def test_deployment_may_be_one_of_several_documents_of_a_file_or_made_in_python(project):
    first = project.declare("all", model("bike", "0 1 * * *"))
    project.write("all/defs.yaml", f"type: {DEPLOYMENT}\n---\n{first}")
    assert schedules(project.defs()) == {"0 1 * * *": {"bike"}}


def test_deployment_made_in_python_finds_the_models_as_well(project):
    project.declare("bike", model("bike", "0 1 * * *"))
    project.write(
        "platform.py",
        "from mlops_assets import Deployment\nimport dagster as dg\n\n\n@dg.component_instance\n"
        "def platform(context: dg.ComponentLoadContext) -> Deployment:\n    return Deployment()\n",
    )
    defs = project.defs()
    assert schedules(defs) == {"0 1 * * *": {"bike"}}
    assert {sensor.name for sensor in defs.get_repository_def().sensor_defs} == {
        *("new_data", "retraining", "registry_watch", "alerts")
    }


def test_defaults_are_files_and_sqlite_below_the_project(project):
    resources = Deployment().resources(project.root)
    home = project.root / ".mlops"
    assert resources["mlops_storage"].root == resources["mlops_batches"].root == str(home / "storage")
    registry = resources["mlflow_registry"]
    assert registry.tracking_uri == f"sqlite:///{home / 'mlflow.db'}"
    assert registry.artifact_root == str(home / "mlartifacts")
    assert not home.exists()


def test_an_empty_environment_variable_is_none(project, monkeypatch):
    for variable in ENVIRONMENT:
        monkeypatch.setenv(variable, "")
    test_defaults_are_files_and_sqlite_below_the_project(project)
    told = Deployment().resources(project.root)
    assert (told["mlflow_registry"].ui_url, told["mlops_alerts"].ui_url) == (
        "http://127.0.0.1:5000",
        "http://127.0.0.1:3000",
    )


def test_a_storage_on_an_object_store_is_taken_as_it_is(project, monkeypatch):
    monkeypatch.setenv("MLOPS_ASSETS_DATABASE", "postgresql://ada:canary@host/records")
    monkeypatch.setenv("MLOPS_ASSETS_STORAGE", "s3://bucket/of/environment")
    for declared, root in ((None, "s3://bucket/of/environment"), ("abfs://container/x", "abfs://container/x")):
        resources = Deployment(storage={"root": declared}).resources(project.root)
        assert resources["mlops_storage"].root == resources["mlops_batches"].root == root
        assert resources["mlops_storage"].database == "$MLOPS_ASSETS_DATABASE"
    own = Deployment(storage={"root": "gs://bucket/x", "database": "$OTHER"}).resources(project.root)
    assert own["mlops_batches"].database == "$OTHER"


@pytest.mark.parametrize(
    ("root", "reason"),
    [
        ("s3://bucket/x", "the storage s3://bucket/x is on an object store.*MLOPS_ASSETS_DATABASE"),
        ("https://host/x", "begins with 'https:'; expected a folder of this machine, or s3://"),
        ("s3://ada:canary@bucket/x", "has options or credentials in its URL"),
    ],
)
def test_a_storage_that_cannot_be_is_refused_when_the_code_location_loads(root, reason, project, monkeypatch):
    monkeypatch.delenv("MLOPS_ASSETS_DATABASE", raising=False)
    with pytest.raises(MlopsAssetsError, match=reason) as refused:
        Deployment(storage={"root": root}).resources(project.root)
    monkeypatch.setenv("MLOPS_ASSETS_STORAGE", root)
    with pytest.raises(MlopsAssetsError, match=reason):
        Deployment().resources(project.root)
    assert "canary" not in str(refused.value)


@pytest.mark.promise(7)
@pytest.mark.fault(64)
@pytest.mark.parametrize(
    "address", ["http://ada:canary@m:5", "postgresql://ada:canary@db/mlflow", "http://m:5/?token=canary"]
)
def test_credentials_of_mlflow_stay_in_the_environment(address, project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLOPS_ASSETS_MLFLOW_UI", "http://ada:canary@ui:5")
    resources = Deployment().resources(project.root)
    registry = resources["mlflow_registry"]
    assert (registry.tracking_uri, registry.address) == ("$MLFLOW_TRACKING_URI", address)
    assert registry.version_url("bikes", 3).startswith("http://ui:5/#/models/bikes/versions/3")
    snapshot = RepositorySnap.from_def(dg.Definitions(resources=resources).get_repository_def())
    assert "canary" not in serialize_value(snapshot) and "MLFLOW_TRACKING_URI" in serialize_value(snapshot)
    with pytest.raises(MlopsAssetsError, match="holds credentials") as refused:
        Deployment(mlflow={"tracking_uri": address}).resources(project.root)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    "address, root", [("https://m:5", None), ("http://a:b@m:5", None), ("postgresql://db/mlflow", "h/mlartifacts")]
)
def test_artifacts_of_a_server_are_not_put_on_this_machine(address, root, project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    registry = Deployment(home="h").resources(project.root)["mlflow_registry"]
    assert registry.artifact_root == (root and str(project.root / root))
    declared = Deployment(mlflow={"artifact_root": "s3://b/a"}).resources(project.root)["mlflow_registry"]
    assert declared.artifact_root == "s3://b/a"


def test_an_address_in_an_environment_variable_that_is_not_set_is_an_error(monkeypatch):
    monkeypatch.delenv("OUR_MLFLOW", raising=False)
    with pytest.raises(MlopsAssetsError, match="the environment variable OUR_MLFLOW, which holds the address"):
        MlflowRegistry(tracking_uri="$OUR_MLFLOW").champion("bikes")


def test_a_tilde_is_the_home_of_the_user(project, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "ada"))
    told = Deployment(home="~/mlops", storage={"root": "~/rows"}).resources(project.root)
    assert told["mlflow_registry"].artifact_root == str(tmp_path / "ada" / "mlops" / "mlartifacts")
    assert told["mlops_storage"].root == str(tmp_path / "ada" / "rows")


def test_relative_folders_begin_at_the_project_whatever_the_working_directory(project, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    told = Deployment(home="h", storage={"root": "s"}, mlflow={"artifact_root": "models"}).resources(project.root)
    assert told["mlops_storage"].root == str(project.root / "s")
    assert told["mlflow_registry"].artifact_root == str(project.root / "models")
    assert told["mlflow_registry"].tracking_uri == f"sqlite:///{project.root / 'h' / 'mlflow.db'}"


def test_environment_variables_replace_defaults_and_what_is_declared_replaces_both(project, monkeypatch, tmp_path):
    values = dict(zip(ENVIRONMENT, ["h", "s", "http://m:5", "http://ui:5", "http://d:3"], strict=True))
    for variable, value in values.items():
        monkeypatch.setenv(variable, value)
    told = Deployment().resources(project.root)
    assert told["mlops_storage"].root == str(project.root / "s")
    assert (told["mlflow_registry"].tracking_uri, told["mlflow_registry"].ui_url) == ("http://m:5", "http://ui:5")
    assert told["mlflow_registry"].artifact_root is None  # the server's own
    assert told["mlops_alerts"].ui_url == "http://d:3"
    project.declare(
        "platform",
        {
            "home": str(tmp_path / "home"),
            "storage": {"root": "/data/mlops"},
            "mlflow": {
                "tracking_uri": "http://mlflow:9",
                "artifact_root": "s3://b/a",
                "ui_url": "http://ui",
                "retries": 0,
            },
            "alerts": {"variable": "PAGER", "ui_url": "http://dagster"},
        },
        DEPLOYMENT,
    )
    told = project.defs().resources
    assert told["mlops_storage"].root == told["mlops_batches"].root == "/data/mlops"
    registry = told["mlflow_registry"]
    assert (registry.tracking_uri, registry.artifact_root) == ("http://mlflow:9", "s3://b/a")
    assert (registry.ui_url, registry.retries, registry.timeout_seconds) == ("http://ui", 0, 10)
    assert (told["mlops_alerts"].variable, told["mlops_alerts"].ui_url) == ("PAGER", "http://dagster")


def test_sensors_and_schedules_run_as_often_as_declared_or_wait_to_be_switched_on(project):
    project.declare("bike", model("bike", "0 1 * * *"))
    sensors = {"new_data": {"every": 300}, "retraining": {"running": False}}
    project.declare("platform", {"sensors": sensors, "schedules": {"running": False}}, DEPLOYMENT)
    repository = project.defs().get_repository_def()
    told = {each.name: (each.minimum_interval_seconds, each.default_status.value) for each in repository.sensor_defs}
    assert told == {
        "new_data": (300, "RUNNING"),
        "retraining": (30, "STOPPED"),
        "registry_watch": (30, "RUNNING"),
        "alerts": (60, "RUNNING"),
    }
    (schedule,) = repository.schedule_defs
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED


def test_two_deployments_are_one_clear_error(project):
    project.declare("one", None, DEPLOYMENT)
    project.declare("two", None, DEPLOYMENT)
    line, said = project.told_at("one")
    assert line == f"type: {DEPLOYMENT}"
    assert said == "two Deployment components: one[0] and two[0]. A code location has one: remove the other."


def test_own_resource_under_one_of_our_keys_is_told_with_its_place(project):
    project.write("mine.py", "import dagster as dg\n\ndefs = dg.Definitions(resources={'mlflow_registry': object()})\n")
    project.declare("platform", None, DEPLOYMENT)
    _, said = project.told_at("platform")
    assert said.startswith(
        "resource 'mlflow_registry' is defined twice: in mine.py, and by the component in platform[0]."
    )
    assert "Remove it there; or remove the component, and define all of its resources there: mlops_storage, " in said


def test_what_is_wrong_elsewhere_is_told_as_it_would_be_without_a_deployment(project):
    project.declare("aaa", None, DEPLOYMENT)
    project.declare("bike", {**model("bike"), "metric": ["rmse"]})
    assert project.told_at("bike") == (
        "metric:",
        "ModelPipeline 'bike': has no field 'metric'; did you mean 'metrics'?",
    )


@pytest.mark.parametrize(
    "attributes, line, says",
    [
        ({"sensor": {}}, "sensor: {}", "Deployment: has no field 'sensor'; did you mean 'sensors'?"),
        (
            {"sensors": {"new_dat": {}}},
            "new_dat: {}",
            "Deployment: sensors: has no field 'new_dat'; did you mean 'new_data'?",
        ),
        (
            {"sensors": {"alerts": {"every": 1}}},
            "every: 1",
            "Deployment: sensors: alerts: every: Input should be greater",
        ),
        ({"mlflow": {"retries": "x"}}, "retries: x", "Deployment: mlflow: retries: Input should be a valid integer"),
        ({"mlflow": "http://m"}, "mlflow: http://m", "Deployment: mlflow: Input should be a valid dictionary"),
        ({"storage": {"path": "x"}}, "path: x", "Deployment: storage: has no field 'path' (fields: root, database)"),
    ],
)
def test_wrong_deployment_is_one_clear_error(attributes, line, says, project):
    with pytest.raises(MlopsAssetsError) as refused:
        Deployment(**attributes)
    assert str(refused.value).startswith(says)
    project.declare("platform", attributes, DEPLOYMENT)
    told_line, said = project.told_at("platform")
    assert told_line == line
    assert said.startswith(says)


def test_home_is_relative_to_the_project(project):
    assert (
        Deployment(home="state").resources(Path(project.root))["mlops_storage"].root == f"{project.root}/state/storage"
    )


def test_schedules_of_crons_that_differ_in_a_sign_have_names_of_their_own(project):
    crons = ("0 3 * * 1-5", "0 3 * * 1,5", "0 3 * * 1#5", "0 3  * * 1,5 ")
    for number, cron in enumerate(crons):
        project.declare(f"m{number}", model(f"m{number}", cron))
    for zone in ("plus", "minus"):
        rule = {"cron": "@daily", "timezone": f"Etc/GMT{'+' if zone == 'plus' else '-'}1"}
        project.declare(zone, {**model(zone), "retraining": rule})
    project.declare("platform", {}, DEPLOYMENT)
    names = {each.name for each in project.defs().get_repository_def().schedule_defs}
    assert names == {
        "retraining_0_3_x_x_1to5_UTC",
        "retraining_0_3_x_x_1and5_UTC",
        "retraining_0_3_x_x_1nth5_UTC",
        "retraining__daily_Etc_GMTplus1",
        "retraining__daily_Etc_GMTminus1",
    }
