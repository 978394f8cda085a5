"""Faults of a batch reject it; those of source, declaration and machine fail the run, which is tried again."""

import pandas as pd
import pytest

from mlops_assets import Folder, ModelPipeline
from mlops_assets.assets.batch.intake import as_texts, judged_columns, of_the_batch, unused
from mlops_assets.checks import CheckOutcome
from mlops_assets.errors import DeclarationError, SourceError, SourceUnavailableError
from mlops_assets.resources.storage import Storage
from mlops_assets.validation.schema import Schema


def raising(error: BaseException):
    def act() -> None:
        raise error

    return act


def test_what_a_reader_raises_rejects_the_batch_with_the_reason():
    assert of_the_batch(lambda: 3) == 3
    assert of_the_batch(raising(SourceError("is cut"))) == CheckOutcome("readable", False, "is cut")
    outcome = of_the_batch(raising(TypeError("unhashable type: 'list'")))
    assert isinstance(outcome, CheckOutcome) and outcome.stops and outcome.name == "readable"
    assert outcome.message.startswith("cannot be read: TypeError: unhashable type: 'list'. Mend the batch")


@pytest.mark.parametrize(
    "error", [SourceUnavailableError("no answer"), DeclarationError("wrong"), ConnectionError("gone"), MemoryError()]
)
def test_what_is_no_fault_of_the_batch_is_raised(error):
    with pytest.raises(type(error)):
        of_the_batch(raising(error))


def test_a_dropped_column_is_not_judged_unless_another_field_names_it():
    model = ModelPipeline(
        name="m", source=Folder("x/*.csv"), target="y", estimator="sklearn.linear_model.Ridge", key=["id"],
        drop=["raw", "id", "region"], slices=["region"],
    )  # fmt: skip
    assert unused(model) == {"raw"}
    assert judged_columns(model, Schema({"raw": "text", "id": "number"})) == Schema({"id": "number"})


def test_a_rejected_batch_is_kept_whatever_its_columns_are_called(tmp_path):
    frame = pd.DataFrame([[1, 2.5, "a", None]], columns=["x", "x", 7, ""])
    texts = as_texts(frame)
    Storage(root=str(tmp_path)).write_frame("m", "rejected", "b", "v", texts)
    assert texts.columns.tolist() == ["x (1)", "x (2)", "column 3", "column 4"]
    assert texts.iloc[0].tolist()[:3] == ["1", "2.5", "a"]
