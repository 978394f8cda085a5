"""Addresses and texts of an attacker: nothing is fetched, run or told that should not be."""

import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml
from listener import listening

from mlops_assets import Folder, ModelPipeline
from mlops_assets.errors import ArtifactError, MlopsAssetsError
from mlops_assets.resources.storage import Storage
from mlops_assets.validation.suites import load_suite
from support.deployment import DeployedModel, why
from support.synthetic import rows

HERE = Path(__file__).parent


# Artifacts elsewhere


@pytest.fixture(scope="module")
def scored(deployment) -> DeployedModel:
    """A champion and a batch that waits to be scored."""
    model = deployment.model("elsewhere")
    model.prepare(b1=rows(1), b2=rows(2))
    assert model.challenge().success and model.champion() == 1
    return model


@pytest.mark.fault(63, 69)
@pytest.mark.parametrize(
    "source",
    ["s3://attacker/model", "file:///etc", "http://127.0.0.1:{port}/model", "gs://attacker/model", "/etc", "../../etc"],
)
def test_a_champion_whose_artifact_lies_elsewhere_is_refused_unread(source, scored, monkeypatch):
    from mlflow import MlflowClient

    with listening() as listener:
        for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "MLFLOW_S3_ENDPOINT_URL", "STORAGE_EMULATOR_HOST"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{listener.port}")
        good = scored.registry.version(scored.name, 1)
        client = MlflowClient(scored.registry.tracking_uri, scored.registry.tracking_uri)
        made = client.create_model_version(
            scored.name, source.format(port=listener.port), run_id=good.run_id, tags=good.tags, await_creation_for=0
        )
        version = scored.registry.version(scored.name, int(made.version))
        for use in (scored.registry.load, scored.registry.verify, scored.registry.size):
            if use == scored.registry.size:
                version = replace(version, digest="0" * 64)  # sizes are kept by digest
            with pytest.raises(
                ArtifactError, match=f"artifact of elsewhere version {version.version} lies outside its run"
            ):
                use(version)
        result = scored.materialize("champion", version=version.version)
        assert "lies outside its run" in why(result)
        assert scored.champion() == 1 and listener.hits == 0


# Addresses where files are expected


@pytest.mark.fault(69)
@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:{port}/*.csv",
        "https://127.0.0.1:{port}/*.csv",
        "file:///etc/*.csv",
        "ftp://127.0.0.1:{port}/a.csv",
        "HTTP://127.0.0.1:{port}/a.csv",
        "\\\\127.0.0.1@{port}\\a.csv",
        "http:/127.0.0.1:{port}/a.csv",
    ],
)
def test_an_address_as_path_of_a_folder_a_suite_or_a_storage_makes_no_connection(address, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with listening() as listener:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listener.port}")
        path = address.format(port=listener.port)
        uses = [
            lambda: Folder(path).look({}),
            lambda: Folder(path).read("a"),
            lambda: load_suite(Path(path)),
        ]
        for use in uses:
            try:
                found = use()
            except MlopsAssetsError:
                continue
            assert list(found.ready) == [], found
        assert listener.hits == 0


@pytest.mark.fault(69)
def test_an_object_store_is_asked_by_a_declared_folder_alone(monkeypatch):
    with listening() as listener:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listener.port}")
        with pytest.raises(MlopsAssetsError):
            load_suite(Path("s3://bucket/suite.yaml"))
        Folder("s3://bucket/*.csv")
        Storage(root="s3://bucket/mlops", database="$RECORDS")
        assert listener.hits == 0


@pytest.mark.fault(69)
def test_addresses_in_the_rows_of_a_batch_are_not_fetched(deployment, name):
    with listening() as listener:
        address = f"http://127.0.0.1:{listener.port}/x"
        model = deployment.model(name)
        hostile = rows(1).assign(colour=address)
        model.prepare(b1=hostile, b2=rows(2).assign(colour=address))
        model.land("b3", rows(3).rename(columns={"z": address}))
        assert not model.take_in("b3").success
        assert model.challenge().success
        assert listener.hits == 0


# YAML


def bomb(levels: int) -> str:
    """Anchors of anchors: ten to the power of `levels` values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines) + f"\nname: *a{levels - 1}\nexpectations: []\n"


@pytest.mark.fault(66)
def test_a_suite_with_a_bomb_of_anchors_a_tag_or_code_in_a_condition_is_refused_and_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = "__import__('os').system('touch owned')"
    condition = {"column": "x", "min_value": 0, "row_condition": run}
    texts = {
        bomb(12): "line 1: anchors and aliases are not read",
        "name: !!python/object/apply:os.system ['touch owned']\nexpectations: []\n": "line 1",
        yaml.safe_dump(
            {"name": "s", "expectations": [{"type": "expect_column_values_to_be_between", "kwargs": condition}]}
        ): "row_condition",
    }
    for text, says in texts.items():
        (tmp_path / "suite.yaml").write_text(text)
        with pytest.raises(MlopsAssetsError) as refused:
            load_suite(tmp_path / "suite.yaml")
        assert says in str(refused.value) and len(str(refused.value)) < 1_000
        with pytest.raises(MlopsAssetsError, match=r"suite\.yaml"):
            model = ModelPipeline(
                name="shop",
                source=Folder("*.csv"),
                target="y",
                estimator="sklearn.linear_model.Ridge",
                expectations=str(tmp_path / "suite.yaml"),
            )
            model.build_defs()
    assert not (tmp_path / "owned").exists()


# Secrets

CANARY = "canary-7f3a9c51"


@pytest.mark.slow
@pytest.mark.fault(64)
def test_a_secret_is_nowhere_in_what_a_deployment_writes(tmp_path, mlflow_schema):
    """In an address of MLflow, of a database and of alerts, in the environment, and in what users' code raises."""
    (tmp_path / "mlflow.db").write_bytes(mlflow_schema.read_bytes())
    with sqlite3.connect(tmp_path / "shop.db") as database:
        pd.concat([rows(number) for number in (1, 2, 3, 4)]).to_sql("orders", database, index=False)
    database.close()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent), str(HERE.parents[1])]),
        "SHOP_DATABASE": f"sqlite:///{tmp_path / 'shop.db'}?password={CANARY}",
        "MLFLOW_ADDRESS": f"http://ada:{CANARY}@127.0.0.1:9/",
        "MLFLOW_TRACKING_PASSWORD": CANARY,
        "MLOPS_ASSETS_ALERTS": f"json://ada:{CANARY}@127.0.0.1:9/{CANARY}",
        "WAREHOUSE_TOKEN": CANARY,
    }
    done = subprocess.run(
        [sys.executable, str(HERE / "secretive.py"), str(tmp_path)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told == {"scored": True, "away": False, "broken": False, "alerts": False}
    assert CANARY not in done.stdout + done.stderr
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [str(path) for path in files if CANARY.encode() in path.read_bytes()] == []
