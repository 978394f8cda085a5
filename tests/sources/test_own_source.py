"""A source of one's own: one class, checked where it is declared, where it is looked at and where it is read."""

import importlib
import sys
from collections.abc import Mapping

import pandas as pd
import pytest

from mlops_assets import Folder, Look, ModelPipeline, Source, Table, Waiting
from mlops_assets.declaration.segments import models_of_segments
from mlops_assets.errors import DeclarationError, SourceError, SourceUnavailableError
from mlops_assets.resources.judges import judged_by
from mlops_assets.sources.reading import look, read
from mlops_assets.sources.source import Known
from mlops_assets.sources.yaml_form import source_of

MODULE = """
from test_own_source import Bucket

class Edited(Bucket):
    def read(self, key):
        return super().read(key).head({depth})
"""
ROWS = pd.DataFrame({"at": ["2024-01-01", "2024-01-02"], "x": [1, 2]})


class Bucket(Source):
    """Batches below a prefix."""

    prefix: str
    depth: int = 1

    def look(self, seen: Mapping[str, str]) -> Look:
        """List the batches."""
        return Look({"one": "1", "two": "2"}, (Waiting("three", "is being written"),))

    def read(self, key: str) -> pd.DataFrame:
        """Load a batch."""
        return ROWS


def model(source, **fields):
    return ModelPipeline(
        **{"name": "shop", "source": source, "target": "x", "estimator": "sklearn.linear_model.Ridge", **fields}
    )


def bucket(**methods):
    """A bucket with other methods."""
    return type("Bucket", (Bucket,), {"__module__": __name__, **methods})("bikes/")


def test_it_is_declared_in_python_and_in_yaml():
    declared = model(Bucket("bikes/"), time="at").source
    assert (declared.prefix, declared.depth, declared.time) == ("bikes/", 1, "at")
    for dotted in ("test_own_source.Bucket", "test_own_source:Bucket"):
        assert source_of({"type": dotted, "prefix": "bikes/"}) == Bucket("bikes/")
    assert source_of({"type": "mlops_assets.Folder", "path": "d/*.csv"}) == Folder("d/*.csv")
    assert declared.describe() == "Bucket 'bikes/': each key that it gives is a batch."


@pytest.mark.parametrize(
    "written, says",
    [
        ({"type": "test_own_source.Bucket"}, "source: field 'prefix' is required"),
        ({"type": "test_own_source.Bucket", "prefix": "a", "dept": 2}, "source: has no field 'dept'; did you mean"),
        ({"type": "test_own_source.Bukcet"}, "source: type: 'test_own_source.Bukcet': test_own_source has no 'Bukcet'"),
        ({"type": "pandas.DataFrame"}, "source: type: 'pandas.DataFrame' does not derive from mlops_assets.Source"),
        (
            {"type": "subprocess.run"},
            "source: type: 'subprocess.run' is of Python's standard library; expected a class",
        ),
        ({"type": 7}, "source: type: expected the dotted name of a class, got 7"),
        ({"type": "test_own_source.Bucket", "prefix": "a", "folder": "x"}, "source: has no field 'folder'"),
        (Bucket, r"source: expected a source, got the class Bucket. Call it: Bucket\(...\)"),
        (Look({}), "source: expected a source, got Look; write the glob of a folder"),
    ],
)
def test_a_wrong_declaration_is_one_clear_error(written, says):
    with pytest.raises(DeclarationError, match=f"^ModelPipeline 'shop': {says}"):
        model(written)


def test_a_class_that_does_not_derive_from_source_is_refused():
    class Alien:
        def look(self, seen):
            return Look({})

    with pytest.raises(DeclarationError, match="source: expected a source, got Alien; derive its class from mlops_as"):
        model(Alien())


@pytest.mark.parametrize("missing", ["look", "read"])
def test_a_class_without_a_method_is_refused(missing):
    methods = {name: method for name, method in vars(Bucket).items() if name in {"look", "read"} - {missing}}
    kind = type("Half", (Source,), {"__module__": __name__, **methods})
    with pytest.raises(DeclarationError, match=f"Half: the method '{missing}' is missing; define {missing}"):
        kind()


def test_what_it_gives_is_checked_as_that_of_other_sources():
    source = Bucket("bikes/", time="at", limits={"max_rows": 2})
    assert look(source, {}) == source.look({})
    assert pd.api.types.is_datetime64_any_dtype(read(source, "one")["at"])
    with pytest.raises(SourceError, match=r"Bucket 'bikes/': batch 'one': has 2 rows; expected at most 1"):
        read(Bucket("bikes/", limits={"max_rows": 1}), "one")


def test_a_batch_with_an_unsafe_key_waits_and_holds_up_no_other():
    found = look(bucket(look=lambda self, seen: Look({"../etc": "1", "one": "2"})), {})
    assert found.ready == {"one": "2"}
    (waiting,) = found.waiting
    assert waiting.name == "../etc" and "unsafe" in waiting.reason


@pytest.mark.parametrize(
    "given, says",
    [
        (None, "expected a Look, got a NoneType"),
        ({"one": "1"}, "expected a Look, got a dict"),
        (Look({"one": 1}), "expected ready to map texts to texts, got {'one': 1}"),
        (Look(["one"]), "expected ready to map texts to texts"),
        (Look({}, ["three"]), "expected waiting to be a tuple of Waiting"),
        (Look({}, (), {"one": None}), "expected seen to map texts to texts"),
    ],
)
def test_a_look_that_gives_something_else_is_told_by_class_and_method(given, says):
    with pytest.raises(SourceUnavailableError, match=f"Bucket 'bikes/': test_own_source.Bucket.look: {says}"):
        look(bucket(look=lambda self, seen: given), {})


def test_a_read_that_gives_something_else_is_told_by_class_and_method():
    with pytest.raises(SourceUnavailableError, match=r"Bucket\.read: expected a DataFrame, got a list"):
        read(bucket(read=lambda self, key: [1]), "one")


def failing(self, _):
    raise OSError("no route to http://me:s3cret@store/bikes")


def test_what_raises_is_told_by_class_and_method_without_a_password():
    for attempt, method in ((look, "look"), (read, "read")):
        with pytest.raises(SourceUnavailableError) as found:
            attempt(bucket(**{method: failing}), "one")
        assert f"test_own_source.Bucket.{method} raised OSError: no route to http://***@store" in str(found.value)
        assert "(failing, line " in str(found.value) and found.value.__cause__ is None


def test_our_errors_come_through():
    def refused(self, key):
        raise SourceError("two headers")

    with pytest.raises(SourceError, match=r"^two headers$") as found:
        read(bucket(read=refused), "one")
    assert not isinstance(found.value, SourceUnavailableError)


def test_it_is_told_what_is_on_record():
    known = Known(marks={"one": "1"}, tried={}, asked=lambda: ["one", "two"], seen={})
    assert Bucket("a").recall(known) == {"one": "1", "two": ""}
    assert Bucket("a").keep(Look({}), known) == ({}, "")


def test_its_fields_and_its_code_are_part_of_what_judges_a_batch(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def digest(source):
        return judged_by(model(source), 0)

    assert digest(Bucket("a")) == digest(Bucket("a", depth=1)) != digest(Bucket("b"))
    assert digest(Bucket("a")) != digest(Bucket("a", depth=2))
    versions = []
    for depth in (1, 2, 1):
        (tmp_path / "edited_bucket.py").write_text(MODULE.format(depth=depth))
        sys.modules.pop("edited_bucket", None)
        importlib.invalidate_caches()
        versions.append(digest(source_of({"type": "edited_bucket.Edited", "prefix": "a"})))
    assert versions[0] == versions[2] != versions[1]


def test_the_digest_of_the_four_kinds_is_what_it_was():
    assert judged_by(model(Folder("d/*.csv", delimiter=";")), 0) == "a5cf3988611e4e28"
    assert judged_by(model(Table("orders", url="$U", high_watermark="id")), 0) == "d712378bd1704f34"


@pytest.mark.parametrize(
    "own, expected",
    [
        ({"prefix": "north/"}, {"type": "test_own_source.Bucket", "prefix": "north/", "depth": 2}),
        ({"folder": "d/*.csv"}, {"folder": "d/*.csv"}),
        ({"type": "shop.Shelf", "row": 1}, {"type": "shop.Shelf", "row": 1}),
    ],
)
def test_a_segment_has_other_options_or_another_source(own, expected):
    source = {"type": "test_own_source.Bucket", "prefix": "all/", "depth": 2}
    declared = {"name": "shop", "source": source, "segments": [{"name": "north", "source": own}]}
    (fields,) = models_of_segments(dict, declared)
    assert fields["source"] == expected
