import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from mlops_assets.errors import ArtifactError
from mlops_assets.resources.mlflow.model_files import digest_of, load_model, save_model

PAYLOAD = """
from pathlib import Path


class Payload:
    def __init__(self, marker=""):
        self.marker = marker

    def fit(self, X, y=None):
        return self

    def predict(self, X):
        return [0.0] * len(X)

    def __getstate__(self):
        return {"marker": self.marker}

    def __setstate__(self, state):
        self.__dict__.update(state)
        Path(state["marker"]).touch()


def doubled(X):
    return X * 2
"""


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    return pd.DataFrame({"x": rng.normal(size=80), "count": np.arange(80) % 5, "site": np.resize(["a", "b"], 80)})


@pytest.fixture(scope="module")
def saved(rows, tmp_path_factory):
    """A saved linear model: (model, folder, digest); tests that change files copy it."""
    from sklearn.linear_model import Ridge

    model = Ridge().fit(rows[["x", "count"]], 2 * rows["x"] + rows["count"])
    folder = tmp_path_factory.mktemp("saved") / "model"
    return model, folder, save_model(model, folder, rows[["x", "count"]])


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """A module that is not ours, whose class leaves a marker file when it is loaded."""
    (tmp_path / "foreign_code.py").write_text(PAYLOAD)
    monkeypatch.syspath_prepend(tmp_path)
    import foreign_code

    yield foreign_code
    sys.modules.pop("foreign_code", None)


def copied(saved, folder: Path, **mlmodel) -> Path:
    """The saved model in a folder of its own, with fields of both flavors replaced in its MLmodel file."""
    import shutil

    shutil.copytree(saved[1], folder)
    content = yaml.safe_load((folder / "MLmodel").read_text())
    for flavor in content["flavors"].values():
        flavor.update(mlmodel)
    (folder / "MLmodel").write_text(yaml.safe_dump(content))
    return folder


def test_saved_model_predicts_the_same_and_is_an_ordinary_mlflow_model(saved, rows):
    import mlflow.models

    model, folder, digest = saved
    loaded = load_model(folder, digest)
    assert loaded.predict(rows[["x", "count"]]).tobytes() == model.predict(rows[["x", "count"]]).tobytes()
    info = mlflow.models.get_model_info(str(folder))
    assert info.signature.inputs is None and info.signature.outputs.to_dict()[0]["tensor-spec"]["dtype"] == "float64"
    assert info.metadata == {"features": {"x": "float64", "count": "int64"}}
    requirements = (folder / "requirements.txt").read_text()
    assert all(f"{name}==" in requirements for name in ("scikit-learn", "skops", "pandas", "numpy"))


@pytest.mark.parametrize(
    "build",
    [
        "sklearn.ensemble.HistGradientBoostingRegressor",
        "sklearn.ensemble.GradientBoostingRegressor",
        "sklearn.ensemble.RandomForestRegressor",
        "sklearn.tree.DecisionTreeRegressor",
        "sklearn.neighbors.KNeighborsRegressor",
        "sklearn.svm.SVR",
        "sklearn.linear_model.TweedieRegressor",
        "sklearn.neural_network.MLPRegressor",
        "sklearn.gaussian_process.GaussianProcessRegressor",
        "sklearn.dummy.DummyRegressor",
    ],
)
def test_skops_holds_a_pipeline_of(build, rows, tmp_path):
    from importlib import import_module

    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    module, name = build.rsplit(".", 1)
    columns = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["site"]),
        (StandardScaler(), make_column_selector(dtype_include=np.number)),
    )
    model = make_pipeline(columns, getattr(import_module(module), name)()).fit(rows, 2 * rows["x"])
    digest = save_model(model, tmp_path / "model", rows)
    assert np.array_equal(load_model(tmp_path / "model", digest).predict(rows), model.predict(rows))


def test_digest_covers_names_and_bytes_of_every_file(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "a").write_bytes(b"12")
    (tmp_path / "deep/b").write_bytes(b"3")
    first = digest_of(tmp_path)
    assert len(first) == 64 and digest_of(tmp_path) == first
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "deep/b").write_bytes(b"23")
    assert digest_of(tmp_path) != first
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(ArtifactError, match="'link', which is not a regular file"):
        digest_of(tmp_path)
    with pytest.raises(ArtifactError, match="missing or empty"):
        digest_of(tmp_path / "absent")


@pytest.mark.promise(6)
@pytest.mark.fault(62)
def test_changed_bytes_are_refused(saved, tmp_path):
    folder = copied(saved, tmp_path / "model")
    digest = digest_of(folder)
    (folder / "requirements.txt").write_text("other")
    with pytest.raises(
        ArtifactError, match=rf"co2 version 3 has changed .* expected sha256 {digest[:12]}\.\., got [0-9a-f]{{12}}\.\."
    ):
        load_model(folder, digest, described="artifact of co2 version 3")


@pytest.mark.promise(6)
@pytest.mark.fault(61)
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"loader_module": "foreign_code"}, "names loader_module 'foreign_code': expected 'mlflow.sklearn'"),
        ({"code": "code"}, "brings code of its own"),
        ({"serialization_format": "pickle"}, "is a pickle file, which runs code when loaded"),
        ({"serialization_format": "joblib"}, "has format 'joblib'"),
    ],
)
def test_mlmodel_that_points_at_code_is_refused(fields, message, saved, tmp_path, foreign):
    sys.modules.pop("foreign_code")
    folder = copied(saved, tmp_path / "model", **fields)
    with pytest.raises(ArtifactError, match=message):
        load_model(folder, digest_of(folder))
    assert "foreign_code" not in sys.modules


@pytest.mark.parametrize("content", ["- 1", "flavors: {sklearn: 3}", "a: !!python/object/apply:os.getcwd []", "{"])
def test_mlmodel_that_is_no_sklearn_model_is_refused(content, saved, tmp_path):
    folder = copied(saved, tmp_path / "model")
    (folder / "MLmodel").write_text(content)
    with pytest.raises(ArtifactError, match="not one of a scikit-learn model"):
        load_model(folder, digest_of(folder))


@pytest.mark.promise(6)
@pytest.mark.fault(59)
def test_pickle_is_refused_unless_declared(foreign, rows, tmp_path):
    marker = tmp_path / "marker"
    digest = save_model(foreign.Payload(str(marker)), tmp_path / "model", rows, serialization="cloudpickle")
    assert not marker.exists()
    with pytest.raises(ArtifactError, match=r"is a cloudpickle file, .* expected skops"):
        load_model(tmp_path / "model", digest)
    assert not marker.exists()
    load_model(tmp_path / "model", digest, serialization="cloudpickle")
    assert marker.exists()  # the payload does fire where pickles are allowed


@pytest.mark.promise(6)
@pytest.mark.fault(60)
def test_trusted_types_of_the_artifact_are_not_trusted(foreign, rows, tmp_path):
    import mlflow.sklearn

    marker = tmp_path / "marker"
    model = foreign.Payload(str(marker))
    save_model(model, tmp_path / "model", rows, trusted=["foreign_code.Payload"])
    marker.unlink()  # MLflow loads what it has saved
    digest = digest_of(tmp_path / "model")
    with pytest.raises(ArtifactError, match=r"not trusted: 'foreign_code.Payload'\. If they are yours"):
        load_model(tmp_path / "model", digest)
    assert not marker.exists()
    mlflow.sklearn.load_model(str(tmp_path / "model"))
    assert marker.exists()  # MLflow itself trusts the artifact's own list


def test_declared_type_is_trusted(foreign, rows, tmp_path):
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    X = rows[["x"]]
    model = make_pipeline(FunctionTransformer(foreign.doubled), Ridge()).fit(X, rows["x"])
    with pytest.raises(
        ArtifactError,
        match=r"foreign_code.doubled\. Add them to `trusted_types`, or declare serialization=",
    ):
        save_model(model, tmp_path / "refused", X)
    assert not (tmp_path / "refused").exists()
    digest = save_model(model, tmp_path / "model", X, trusted=["foreign_code.doubled"])
    loaded = load_model(tmp_path / "model", digest, trusted=["foreign_code.doubled"])
    assert np.array_equal(loaded.predict(X), model.predict(X))


def test_lambda_cannot_be_stored_with_skops(rows, tmp_path):
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    model = make_pipeline(FunctionTransformer(lambda X: X * 3), Ridge()).fit(rows[["x"]], rows["x"])
    with pytest.raises(ArtifactError, match='declare serialization="cloudpickle"'):
        save_model(model, tmp_path / "refused", rows[["x"]])
    digest = save_model(model, tmp_path / "model", rows[["x"]], serialization="cloudpickle")
    loaded = load_model(tmp_path / "model", digest, serialization="cloudpickle")
    assert np.array_equal(loaded.predict(rows[["x"]]), model.predict(rows[["x"]]))


def test_damaged_file_is_told_plainly(saved, tmp_path):
    folder = copied(saved, tmp_path / "model")
    (folder / "model.skops").write_bytes((folder / "model.skops").read_bytes()[:200])
    with pytest.raises(ArtifactError, match=r"cannot be read \(BadZipFile"):
        load_model(folder, digest_of(folder))


def test_folder_in_use_is_not_written_to(saved, rows):
    with pytest.raises(ArtifactError, match="is not empty"):
        save_model(saved[0], saved[1], rows[["x", "count"]])
