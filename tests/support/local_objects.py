"""A folder of this machine in the place of an object store, for what needs no server: `store` gives URLs of it."""

from pathlib import Path

import pytest
from pyarrow import fs

from mlops_assets.sources import object_store


class LocalObjects:
    """Buckets that are folders; `opened` has the paths that were opened, and `before_open` is called with each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened: list[str] = []
        self.before_open = lambda path: None

    def url(self, glob: str) -> str:
        """The URL of a glob in the bucket `bucket`."""
        return f"s3://bucket/{glob}"

    def put(self, name: str, content: bytes) -> Path:
        """Write an object."""
        path = self.folder / "bucket" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def __call__(self, place: str):
        """Stand in for `file_systems.file_system`."""
        return fs.PyFileSystem(_Watched(self)), place.partition("://")[2]


class _Watched(fs.FSSpecHandler):
    """pyarrow's own way to a folder, with each opening written down; only what sources call is there."""

    def __init__(self, objects: LocalObjects) -> None:
        self.objects = objects
        self.files = fs.SubTreeFileSystem(str(objects.folder), fs.LocalFileSystem())

    def get_file_info(self, paths):
        return self.files.get_file_info(paths)

    def get_file_info_selector(self, selector):
        return self.files.get_file_info(selector)

    def open_input_file(self, path):
        self.objects.before_open(path)
        self.objects.opened.append(path)
        return self.files.open_input_file(path)


@pytest.fixture
def store(tmp_path, monkeypatch):
    objects = LocalObjects(tmp_path / "store")
    (objects.folder / "bucket").mkdir(parents=True)
    monkeypatch.setattr(object_store, "file_system", objects)
    monkeypatch.setattr(object_store, "_silent", {})
    return objects
