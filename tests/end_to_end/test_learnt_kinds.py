"""The kinds of columns are learnt from the first batches, say from which, and can be learnt anew."""

import numpy as np
import pandas as pd

from mlops_assets.assets.batch import dataset as datasets
from mlops_assets.records.column_kinds import learnt_anew
from mlops_assets.records.inferred_suites import inferred_version
from mlops_assets.resources.judges import judged_by
from mlops_assets.sources import Folder
from support.deployment import QUIET, checks, failed, why
from support.ledger_rows import put_value, value_of
from support.synthetic import rows


def with_x(seed: int, x: list[object]) -> pd.DataFrame:
    return rows(seed, count=len(x)).assign(x=x)


def numbers(seed: int, n: int = 100) -> list[object]:
    return [round(float(value), 3) for value in np.random.default_rng(seed).normal(size=n)]


def test_first_batch_that_is_nearly_numbers_is_rejected_and_the_next_one_learnt_from(deployment, name):
    model = deployment.model(name)
    blank = numbers(1)
    blank[74] = " "
    result = model.take_in(model.land("b1", with_x(1, blank)))
    assert failed(result)["dtypes"] == (
        "'x': text, though 99 of 100 values are numbers: ' ' (row 75); mend them, declare them as `na_values` of the "
        "source, or the column as text by `dtypes` of the source"
    )
    assert model.take_in(model.land("b2", with_x(2, numbers(2)))).success
    assert value_of(model.storage, name, "column_kinds", "dataset")["origins"]["x"] == "b2"
    result = model.take_in(model.land("b3", with_x(3, ["red", "blue"] * 50)))
    assert failed(result)["dtypes"].startswith("'x': expected number as in batch 'b2', got text: 'red' (row 1)")
    assert model.take_in(model.land("b1", with_x(1, numbers(1)))).success


def test_texts_that_look_like_numbers_are_accepted_where_declared(deployment, name):
    codes: list[object] = [f"{number:05d}" for number in range(99)] + ["A7"]
    path = str(deployment.home / "landing" / name / "*.csv")
    model = deployment.model(name, source=Folder(path, dtypes={"x": "str"}))
    assert model.take_in(model.land("b1", with_x(1, codes))).success


def test_kinds_are_learnt_anew_when_their_batch_is_replaced(deployment, name):
    model = deployment.model(name)
    assert model.take_in(model.land("b1", with_x(1, ["low", "high"] * 50)), mark="1").success
    late = model.take_in(model.land("b2", with_x(2, numbers(2))))
    assert failed(late)["dtypes"].startswith("'x': expected text as in batch 'b1', got number")
    assert model.take_in(model.land("b1", with_x(1, numbers(1))), mark="2").success
    assert model.take_in(model.land("b2", with_x(2, numbers(2)))).success
    assert [model.record(batch).status for batch in ("b1", "b2")] == ["accepted", "accepted"]


def test_of_two_first_batches_at_once_one_is_rejected_where_they_disagree(deployment, name, monkeypatch):
    model = deployment.model(name)
    model.land("b2", with_x(2, ["low", "high"] * 50))
    validated, others = datasets.validated, []

    def slowly(*arguments: object) -> object:
        found = validated(*arguments)
        if not others:
            others.append("b2")
            assert model.take_in("b2").success  # while b1 is between its checks and its record
        return found

    monkeypatch.setattr(datasets, "validated", slowly)
    result = model.take_in(model.land("b1", with_x(1, numbers(1))))
    said = "another batch was accepted at the same time: 'x': number, but text as in batch 'b2'"
    assert failed(result) == {"dtypes": said} and said in why(result)
    assert [model.record(batch).status for batch in ("b1", "b2")] == ["rejected", "accepted"]


def test_kinds_are_those_of_the_rows_of_the_model(deployment, name):
    values = numbers(1, 200)
    values[5] = " "
    frame = with_x(1, values).assign(colour=["red"] * 100 + ["blue"] * 100)
    model = deployment.model(name, where={"colour": "blue"})
    result = model.take_in(model.land("b1", frame))
    assert result.success and checks(result)["dtypes"].passed
    assert value_of(model.storage, name, "column_kinds", "dataset")["columns"]["x"] == "number"


def test_person_has_kinds_and_suite_learnt_anew(deployment, name, tmp_path):
    path = tmp_path / "expectations.yaml"
    model = deployment.model(name, expectations=str(path))
    for number in (1, 2, 3):
        assert model.take_in(model.land(f"b{number}", with_x(number, numbers(number))), mark="1").success
    suite = inferred_version(model.records)
    assert suite and not path.exists()
    schema = value_of(model.storage, name, "column_kinds", "dataset")
    kinds = {**schema, "columns": {**schema["columns"], "x": "text"}, "origins": {}}
    put_value(model.storage, name, "column_kinds", "dataset", kinds)
    rejected = model.take_in(model.land("b4", with_x(4, numbers(4))), mark="1")
    assert "'x': expected text, got number" in failed(rejected)["dtypes"]
    before = judged_by(model.pipeline, learnt_anew(model.records))

    job = model.defs.resolve_job_def(f"{name}_relearn")
    unsigned = job.execute_in_process(instance=model.instance, raise_on_error=False, run_config=QUIET)
    assert f"fill in `by` (who) and `reason` (why) in the launchpad of {name}_relearn" in why(unsigned)
    asked = {"ops": {f"{name}__relearn": {"config": {"by": "kim", "reason": "a blank in the first file"}}}}
    assert job.execute_in_process(instance=model.instance, run_config={**asked, **QUIET}).success
    learnt = value_of(model.storage, name, "column_kinds", "dataset")
    assert (learnt["columns"]["x"], learnt["origins"]["x"], learnt["generation"]) == ("number", "b1", 1)
    assert inferred_version(model.records) == suite  # the same three batches
    assert judged_by(model.pipeline, learnt_anew(model.records)) != before  # so the sensor asks for b4 once more
    assert model.take_in("b4", mark="1").success


def test_inferred_suite_follows_a_replaced_batch_unless_there_is_a_file(deployment, name, tmp_path):
    path = tmp_path / "expectations.yaml"
    model = deployment.model(name, expectations=str(path))
    for number in (1, 2, 3):
        assert model.take_in(model.land(f"b{number}", with_x(number, numbers(number))), mark="1").success
    before = inferred_version(model.records)
    path.write_text("expectations: []\n")
    assert model.take_in(model.land("b1", with_x(11, numbers(11)).assign(z=0.5)), mark="2").success
    assert (inferred_version(model.records), path.read_text()) == (before, "expectations: []\n")
    path.unlink()
    assert model.take_in(model.land("b1", with_x(12, numbers(12)).assign(z=0.25)), mark="3").success
    assert inferred_version(model.records) not in ("", before)


def test_first_batch_is_told_of_an_index_and_of_numbers_read_as_text(deployment, name):
    model = deployment.model(name)
    frame = rows(1).rename(columns={"z": "price"})
    frame = frame.assign(price=[f"{value:.3f}".replace(".", ",") for value in frame["price"]])
    frame.insert(0, "", range(60))
    result = model.take_in(model.land("b1", frame))
    assert result.success
    said = failed(result)["first_look"]
    assert "'Unnamed: 0' rises from row to row" in said and "declare decimal=',' of the source" in said
    assert model.shown("dataset")["hints"] == said
    later = frame.assign(day=rows(2)["day"], id=rows(2)["id"])
    assert "first_look" not in failed(model.take_in(model.land("b2", later)))
