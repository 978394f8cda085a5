"""Copies of a server's models on this machine: used by digest only, and never a reason to fail."""

import os
import sys
import time
from pathlib import Path

import pytest

from mlops_assets.errors import RegistryError
from mlops_assets.resources.mlflow import model_copies
from mlops_assets.resources.mlflow.model_copies import ModelCopies
from mlops_assets.resources.mlflow.model_files import digest_of
from mlops_assets.resources.mlflow.registry import MlflowRegistry


@pytest.fixture
def copies(tmp_path) -> ModelCopies:
    return ModelCopies(str(tmp_path / "home" / "models"))


def stored(folder: Path, content: str = "model") -> tuple[Path, str]:
    """A model folder and its digest."""
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "model.skops").write_text(content)
    return folder, digest_of(folder)


def test_a_copy_has_the_files_of_the_model(copies, tmp_path):
    model, digest = stored(tmp_path / "model")
    assert copies.get(digest) is None
    copies.keep(model, digest)
    copies.keep(model, digest)
    copy = copies.get(digest)
    assert copy is not None and copy != model and digest_of(copy) == digest
    assert [path.name for path in copy.parent.iterdir()] == [digest]


def test_a_changed_copy_is_deleted(copies, tmp_path):
    model, digest = stored(tmp_path / "model")
    copies.keep(model, digest)
    (tmp_path / "home/models" / digest / "data" / "model.skops").write_text("other")
    assert copies.get(digest) is None and not (tmp_path / "home/models" / digest).exists()


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_folder_that_others_may_open_is_not_used(copies, tmp_path, mode):
    model, digest = stored(tmp_path / "model")
    copies.keep(model, digest)
    (tmp_path / "home/models").chmod(mode)
    assert copies.get(digest) is None
    other, other_digest = stored(tmp_path / "other", "other")
    copies.keep(other, other_digest)
    assert not (tmp_path / "home/models" / other_digest).exists()


def test_a_digest_that_is_not_one_names_no_folder(copies, tmp_path):
    model, _ = stored(tmp_path / "model")
    for name in ("", "..", "../../model", "A" * 64):
        copies.keep(model, name)
        assert copies.get(name) is None
    assert not (tmp_path / "home").exists()


def test_a_folder_that_cannot_be_written_costs_nothing_but_the_copy(tmp_path):
    model, digest = stored(tmp_path / "model")
    (tmp_path / "file").touch()
    copies = ModelCopies(str(tmp_path / "file" / "models"))
    copies.keep(model, digest)
    assert copies.get(digest) is None


def test_copies_that_were_not_read_for_long_make_room(copies, tmp_path, monkeypatch):
    monkeypatch.setattr(model_copies, "_MOST_BYTES", 12)
    digests = []
    for number, age in enumerate([3 * 3_600, 2 * 3_600, 60]):
        model, digest = stored(tmp_path / f"model{number}", f"model{number}")  # 6 bytes
        copies.keep(model, digest)
        os.utime(tmp_path / "home/models" / digest, (time.time() - age,) * 2)
        digests.append(digest)
    model, newest = stored(tmp_path / "newest", "newest")
    copies.keep(model, newest)
    assert [copies.get(digest) is not None for digest in [*digests, newest]] == [False, False, True, True]


def test_what_artifacts_on_s3_need_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    database = f"sqlite:///{tmp_path / 'mlflow.db'}"
    registry = MlflowRegistry(tracking_uri=database, artifact_root="s3://bucket/models")
    run_id = registry.start_run("remote", "train", {})
    with pytest.raises(RegistryError, match=r"pip install 'mlops-assets\[s3\]'.*the server keeps need nothing"):
        registry.log_text(run_id, "note.txt", "note")
