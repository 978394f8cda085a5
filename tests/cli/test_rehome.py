"""A home that was moved or copied: what is told, that nothing is written elsewhere, and the one command that mends."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mlops_assets.cli.rehoming import REHOMED, misplaced_models, rehome
from mlops_assets.errors import MisplacedArtifactError, RegistryError
from mlops_assets.records.promotions import PromotionLedger
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from support.deployment import REPOSITORY, why
from support.lived import Lived, lived_at
from support.synthetic import rows

pytestmark = pytest.mark.slow
PAGE = (REPOSITORY / "docs" / "how-to/moved-home.md").read_text()
SHOWN, MENDED = (tuple(shlex.split(line)[1:]) for line in PAGE.splitlines() if line.startswith("mlops-assets "))


def doctor(lived: Lived) -> dict[str, tuple[str, str]]:
    """Severity and text of each finding."""
    found = json.loads(lived.run("doctor", "--json").out)["findings"]
    return {each["name"]: (each["severity"], f"{each['found']} {each['mend']}") for each in found}


def files_below(folder: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of all files."""
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_moved_home_is_told_and_mended_by_one_command(copied: Lived, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    assert doctor(copied)["champions"] == ("fine", "1 of 1 models have a champion that can be loaded ")
    new = copied.home.rename(tmp_path / "new place")
    moved = lived_at(new, monkeypatch)
    old, declared = copied.home / "artifacts", new / "artifacts"

    message = why(moved.model.materialize("predictions", batch="b3"))
    assert str(old / "rentals") in message and f"{declared} is declared" in message
    assert "run `mlops-assets rehome`" in message
    assert f"{declared} is declared" in why(moved.model.challenge(alpha=0.5)) and not copied.home.exists()
    found = doctor(moved)
    assert found["champion of rentals"][0] == "fault" and str(declared) in found["champion of rentals"][1]
    severity, text = found["artifacts of rentals"]
    assert severity == "fault" and str(old / "rentals") in text and str(declared / "rentals") in text

    before = (new / "mlflow.db").read_bytes()
    shown = moved.run(*SHOWN, "--json")
    [move] = json.loads(shown.out)["moves"]
    assert shown.code == 1 and (new / "mlflow.db").read_bytes() == before
    assert (move["from"], move["to"]) == (str(old / "rentals"), str(declared / "rentals"))
    assert move["versions"] == [1, 2] and move["left_behind"] == []
    assert moved.run("rehome", "--by", "ada").code == 2

    done = moved.run(*MENDED)
    assert done.code == 0 and "Changed." in done.out
    assert "Nothing to do" in moved.run(*MENDED).out and moved.run("rehome").code == 0
    client = MlflowClient(tracking_uri=f"sqlite:///{new / 'mlflow.db'}")
    noted = json.loads(client.get_experiment_by_name("rentals").tags[REHOMED])
    assert (noted["by"], noted["reason"], noted["from"]) == ("ada", "moved to a larger disk", str(old / "rentals"))
    assert doctor(moved)["artifacts"] == ("fine", f"lie below {declared} ")
    champion = PromotionLedger(moved.model.storage, "rentals").champion()
    assert champion.source.startswith(declared.as_uri().replace(" ", "%20"))
    assert moved.model.materialize("predictions", batch="b3").success
    moved.model.prepare(b5=rows(5))
    trained = moved.model.challenge(alpha=0.5)
    assert trained.success, why(trained)
    newest = moved.model.registry.versions("rentals")[0]
    assert newest.version == 3 and moved.model.registry.local_model(newest).is_relative_to(declared)
    assert not copied.home.exists()


def test_copy_writes_nothing_into_the_original(copied: Lived, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    shutil.copytree(copied.home, tmp_path / "staging")
    staging = lived_at(tmp_path / "staging", monkeypatch)
    before = files_below(copied.home)
    registry = staging.model.registry
    message = why(staging.model.challenge(alpha=0.5))
    assert str(copied.home / "artifacts" / "rentals") in message and str(staging.home / "artifacts") in message
    run_id = registry.champion("rentals").run_id
    with pytest.raises(MisplacedArtifactError, match=f"nothing is written for run {run_id}"):
        registry.log_text(run_id, "note.txt", "of the copy")
    assert doctor(staging)["artifacts of rentals"][0] == "fault"
    assert staging.run(*MENDED).code == 0
    staging.model.prepare(b5=rows(5))
    trained = staging.model.challenge(alpha=0.5)
    assert trained.success, why(trained)
    assert staging.model.materialize("predictions", batch="b3").success
    assert files_below(copied.home) == before


def test_files_that_were_not_brought_along_are_named_and_nothing_is_changed(copied: Lived):
    shutil.move(copied.home / "artifacts", copied.home / "elsewhere")
    (copied.home / "artifacts").symlink_to(copied.home / "elsewhere")
    model = copied.model
    assert misplaced_models(model.registry, ["rentals"]) == []  # a link in the place of what was moved
    other = MlflowRegistry(tracking_uri=model.registry.tracking_uri, artifact_root=str(copied.home / "third"))
    with pytest.raises(RegistryError, match=r"were not brought along, such as .*copy them below .*third first"):
        rehome(other, model.storage, ["rentals"], "ada", "no files there")
    assert misplaced_models(model.registry, ["rentals"]) == []


@pytest.mark.parametrize(
    "declared",
    [
        {"artifact_root": "s3://bucket/artifacts"},
        {"artifact_root": None},
        {"tracking_uri": "http://127.0.0.1:1", "artifact_root": "/anywhere"},
    ],
)
def test_artifacts_that_are_deliberately_elsewhere_are_no_fault(copied: Lived, declared):
    registry = MlflowRegistry(**{"tracking_uri": copied.model.registry.tracking_uri, **declared})
    assert registry.artifact_folder is None and misplaced_models(registry, ["rentals"]) == []
    assert rehome(registry, copied.model.storage, ["rentals"], "ada", "nothing to mend") == []
