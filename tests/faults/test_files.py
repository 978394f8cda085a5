"""Faults of files: cut, replaced, repeated keys; one training for each content, others go on."""

import os
from pathlib import Path

import pandas as pd
import pytest

from mlops_assets import Folder
from mlops_assets.errors import SourceError
from support.deployment import DeployedModel, failed
from support.sensed import Project, ridge
from support.synthetic import rows


@pytest.fixture
def landing(tmp_path) -> Path:
    (tmp_path / "landing").mkdir()
    return tmp_path / "landing"


@pytest.fixture
def project(deployment, name, landing) -> Project:
    return Project(deployment, ridge(name, Folder(str(landing / "*.csv"))))


def land(landing: Path, batch: str, frame: pd.DataFrame) -> Path:
    """A file that is there at once."""
    path = landing / f"{batch}.csv"
    frame.to_csv(path.with_suffix(".part"), index=False)
    return path.with_suffix(".part").replace(path)


def settle(project: Project) -> list[str]:
    """Ticks with their runs until none asks for anything; the batches asked for."""
    asked = []
    project.tick()
    while found := project.take_in():
        asked += found
        assert len(asked) < 50, asked
    return asked


def trained_on(project: Project) -> list[str]:
    """The data versions of all versions of the model, oldest first."""
    registry = project.resources["mlflow_registry"]
    return [version.tags["data_version"] for version in reversed(registry.versions(project.model.name))]


# Cut files


@pytest.mark.fault(4)
def test_a_csv_cut_at_any_byte_of_a_line_is_refused_or_is_a_whole_line(landing):
    content = rows(1, 5).to_csv(index=False).encode()
    begins = content[:-1].rfind(b"\n") + 1
    last_field = content.rfind(b",")
    source = Folder(str(landing / "*.csv"))
    said = {}
    for end in range(begins + 1, len(content)):
        (landing / "cut.csv").write_bytes(content[:end])
        try:
            said[end] = len(source.read("cut"))
        except SourceError as error:
            said[end] = str(error)
    refused = [end for end, found in said.items() if "is cut in mid-line: the last line has" in str(found)]
    assert refused == list(range(begins + 1, last_field + 1))
    assert [said[end] for end in range(last_field + 2, len(content))] == [5] * (len(content) - last_field - 2)


@pytest.mark.fault(4)
def test_a_csv_that_is_cut_in_its_last_field_waits_for_its_marker_however_quiet_it_is(deployment, name, landing):
    project = Project(deployment, ridge(name, Folder(str(landing / "*.csv"), marker=True)))
    content = rows(1).to_csv(index=False).encode()
    (landing / "b1.csv").write_bytes(content[:-3])
    os.utime(landing / "b1.csv", (0, 0))
    assert [project.tick() for _ in range(4)] == [[]] * 4
    (landing / "b1.csv").write_bytes(content)
    (landing / "b1.csv.done").touch()
    assert project.take_in() == ["b1"]
    assert len(project.rows("b1")) == 60 and project.rows("b1")["bought"].iloc[-1] == rows(1)["bought"].iloc[-1]


@pytest.mark.fault(4)
def test_a_cut_batch_is_rejected_and_never_trained_on_until_it_is_whole(project, landing):
    for number in (1, 2):
        land(landing, f"b{number}", rows(number))
    whole = rows(3).to_csv(index=False)
    (landing / "b3.csv").write_text(whole[: whole.rindex(",") - 4])
    assert sorted(settle(project)) == ["b1", "b2", "b3"]
    assert project.became() == {"b1": "accepted", "b2": "accepted", "b3": "rejected"}
    reasons = project.ledger.get("b3").reasons
    assert len(reasons) == 1 and "is cut in mid-line: the last line has 6 of 7 fields and no newline" in reasons[0]
    assert project.train().success and len(trained_on(project)) == 1
    (landing / "b3.csv").write_text(whole)
    assert settle(project) == ["b3"] and project.became()["b3"] == "accepted"
    assert project.train().success and len(set(trained_on(project))) == 2


# Keys that come twice


@pytest.mark.fault(11)
def test_a_key_of_a_training_batch_that_comes_again_in_the_holdout_stops_the_training(deployment, name):
    model: DeployedModel = deployment.model(name)
    again = rows(3)
    again.loc[:4, "id"] = rows(1)["id"].head(5).to_numpy()
    model.prepare(b1=rows(1), b2=rows(2), b3=again)
    result = model.challenge()
    assert failed(result) == {"no_key_overlap": "5 keys are on both sides, such as {'id': '1000'}"}
    assert (model.registry.versions(model.name), model.champion()) == ([], None)
    model.prepare(b3=rows(3))
    assert model.challenge().success and model.champion() == 1


@pytest.mark.fault(11)
def test_training_set_and_holdout_of_a_champion_share_no_key(deployment, name):
    from mlops_assets.records.manifests import read_manifest
    from mlops_assets.records.rows import read_holdout, read_train

    model: DeployedModel = deployment.model(name)
    model.prepare(b1=rows(1), b2=rows(2), b3=rows(3))
    assert not model.take_in(model.land("b4", pd.concat([rows(4), rows(4).head(1)]))).success
    assert "key_unique: 2 rows share their key 'id'" in "; ".join(model.record("b4").reasons)
    assert model.challenge().success
    manifest = read_manifest(model.records, model.registry.champion(model.name).tags["data_version"])
    train, holdout = (read(model.records, manifest) for read in (read_train, read_holdout))
    sides = [set(side.about["id"]) for side in (train, holdout)]
    assert [len(side) for side in sides] == [120, 60] and sides[0] & sides[1] == set()


# Files that are replaced


@pytest.mark.fault(23)
def test_a_file_replaced_by_one_of_its_size_and_time_is_a_new_data_version_and_trained_on_once(project, landing):
    texts = [rows(number).to_csv(index=False) for number in (2, 3)]
    longest = max(map(len, texts))
    texts = [text + "\n" * (longest - len(text)) for text in texts]
    land(landing, "b1", rows(1))
    path = landing / "b2.csv"
    versions = []
    for text in texts:
        (landing / "b2.part").write_text(text)
        os.utime(landing / "b2.part", (1_700_000_000, 1_700_000_000))
        (landing / "b2.part").replace(path)
        assert (path.stat().st_size, path.stat().st_mtime) == (longest, 1_700_000_000)
        assert "b2" in settle(project)
        versions.append(project.ledger.get("b2").version)
        for _ in range(2):  # the second finds what the first has trained
            assert project.train().success
    assert len(set(versions)) == 2
    assert len(trained_on(project)) == len(set(trained_on(project))) == 2


@pytest.mark.fault(26)
def test_a_file_replaced_between_tick_and_run_is_taken_in_as_what_it_holds_then(project, landing):
    land(landing, "b1", rows(1))
    land(landing, "b2", rows(2))
    settle(project)
    assert project.train().success
    land(landing, "b3", rows(3))
    project.tick()
    (request,) = project.tick()
    land(landing, "b3", rows(4))
    assert project.run(request).success
    assert project.rows("b3")["id"].tolist() == rows(4)["id"].tolist()
    asked = settle(project)  # the mark that the run was asked for is not the one of the file
    assert asked == ["b3"] and project.rows("b3")["id"].tolist() == rows(4)["id"].tolist()
    assert project.train().success and len(trained_on(project)) == 2


@pytest.mark.fault(26)
def test_a_file_replaced_by_a_bad_one_between_tick_and_run_is_rejected_and_the_champion_stays(project, landing):
    land(landing, "b1", rows(1))
    land(landing, "b2", rows(2))
    settle(project)
    assert project.train().success
    champion = project.resources["mlflow_registry"].champion(project.model.name)
    land(landing, "b3", rows(3))
    project.tick()
    (request,) = project.tick()
    land(landing, "b3", rows(3).drop(columns="x"))
    assert not project.run(request).success
    assert project.became()["b3"] == "rejected" and "missing: 'x'" in project.ledger.get("b3").reasons[0]
    settle(project)
    assert project.train().success and trained_on(project) == [champion.tags["data_version"]]
    assert project.resources["mlflow_registry"].champion(project.model.name) == champion


@pytest.mark.fault(26)
def test_rows_replaced_between_training_set_and_training_are_not_trained_on(deployment, name):
    model: DeployedModel = deployment.model(name)
    model.prepare(b1=rows(1), b2=rows(2), b3=rows(3))
    assert model.materialize("training_set").success
    before = model.shown("training_set")["version"]
    model.prepare(b2=rows(4))  # a new version beside the old one, whose rows stay
    assert model.materialize("challenger").success
    (version,) = model.registry.versions(model.name)
    assert version.tags["data_version"] == before
    assert model.challenge().success and len(model.registry.versions(model.name)) == 2
