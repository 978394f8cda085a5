"""`mlops-assets suite export`: the inferred suite as a file beside the code."""

import json
from pathlib import Path

import pytest

from mlops_assets.records.inferred_suites import inferred_document, keep_inferred
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.resources.storage import Storage
from mlops_assets.validation.suites import load_suite
from support.lived import run

LOCATION = """
import dagster as dg
from mlops_assets import Folder, ModelPipeline
from mlops_assets.resources import BatchFiles, GreatExpectations, Storage

def model(name, expectations):
    ridge = "sklearn.linear_model.Ridge"
    return ModelPipeline(name=name, source=Folder("*.csv"), target="y", estimator=ridge, expectations=expectations)

shop = model("shop", "expectations.yaml")
listed = model("listed", [])
root = {root!r}
resources = {{
    "mlops_storage": Storage(root=root),
    "mlops_batches": BatchFiles(root=root),
    "great_expectations": GreatExpectations(),
    "mlflow_registry": dg.ResourceDefinition.none_resource(),
}}
defs = dg.Definitions.merge(shop.build_defs(), listed.build_defs(), dg.Definitions(resources=resources))
"""
EXPECTATIONS = [
    {
        "type": "expect_column_values_to_not_be_null",
        "kwargs": {"column": "x", "mostly": 0.5},
        "meta": {"severity": "error"},
    }
]


@pytest.fixture
def records(elsewhere, tmp_path) -> ModelRecords:
    from mlops_assets import Folder, ModelPipeline

    root = str(tmp_path / "storage")
    elsewhere("definitions.py", LOCATION.format(root=root))
    model = ModelPipeline(name="shop", source=Folder("*.csv"), target="y", estimator="sklearn.linear_model.Ridge")
    return ModelRecords(model, Storage(root=root))


def test_the_inferred_suite_is_written_once_and_is_a_persons_then(records):
    early = run("suite", "export", "shop", "-f", "definitions.py")
    assert early.code == 2 and "no suite is inferred yet: this happens when the third batch is accepted" in early.err
    keep_inferred(records, EXPECTATIONS, {"b1": "v1"})
    done = run("suite", "export", "shop", "-f", "definitions.py", "--json")
    path = Path("expectations.yaml").absolute()
    assert (done.code, json.loads(done.out)) == (0, {"model": "shop", "path": str(path), "expectations": 1})
    [written] = load_suite(path)
    assert (written.check_name, written.blocking) == ("x_values_to_not_be_null", True)
    assert "it is never overwritten" in path.read_text()
    path.write_text("expectations: []\n")
    again = run("suite", "export", "shop", "-f", "definitions.py")
    assert again.code == 2 and f"{path}: exists and is never overwritten" in again.err
    assert path.read_text() == "expectations: []\n"


def test_a_suite_of_objects_is_not_exported(records):
    done = run("suite", "export", "listed", "-f", "definitions.py")
    assert done.code == 2 and "`expectations` names no file" in done.err


def test_a_record_of_an_earlier_release_names_a_file_and_no_document(records):
    from support.ledger_rows import put_value

    put_value(records.storage, "shop", "inferred_suites", "suite", {"digest": "0" * 64, "batches": {"b1": "v1"}})
    assert inferred_document(records) is None
