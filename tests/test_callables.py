"""A dotted name calls the class of an estimator, a metric, or a function of the project, and nothing else."""

import subprocess
import sys
import textwrap

import pytest

from mlops_assets import Frame, Gates, ModelPipeline
from mlops_assets.callables import _home_of_package, home_of
from mlops_assets.errors import DeclarationError
from mlops_assets.modelling.fitting.estimators import build
from mlops_assets.modelling.metrics.own import own_metric

FOREIGN = [
    ("subprocess", "call", "is of Python's standard library"),
    ("os", "system", "is of Python's standard library"),
    ("builtins", "eval", "is of Python's standard library"),
    ("posix", "system", "is of Python's standard library"),
    ("sklearn.utils", "shuffle", "is a function of an installed package"),
    ("pandas", "read_pickle", "is a function of an installed package"),
    ("joblib", "load", "is a function of an installed package"),
]
FIELDS = {
    "estimator": "expected a class with fit and predict, or a function of your own project that returns an estimator",
    "features": "expected a function of your own project: (batch, history) -> DataFrame",
    "expectations": "expected a function of your own project that returns expectations",
    "metrics": "expected a function (y_true, y_pred) -> float",
    "gates": "expected a function (y_true, y_pred) -> float",
    "source": "expected a function of your own project that returns a DataFrame",
    "outcomes": "expected a function of your own project that returns a DataFrame",
}
OWN = """
import os
import subprocess
from functools import partial, wraps
from os import system
from sklearn.linear_model import Ridge


def ridge(alpha=1.0):
    return Ridge(alpha=alpha)


def logged(function):
    @wraps(function)
    def wrapper(*args):
        return function(*args)

    return wrapper


@logged
def wrapped():
    return Ridge()


class Factory:
    def __call__(self):
        return Ridge()

    def method(self):
        return Ridge()


class Mean:
    def fit(self, X, y):
        return self

    def predict(self, X):
        return X


bound = partial(ridge, alpha=2.0)
shell = partial(system)
factory = Factory()
method = factory.method
joined = "".join
"""


def declare(name: str, field: str) -> object:
    fields = {"name": "shop", "source": "landing/*.csv", "target": "y", "estimator": "sklearn.linear_model.Ridge"}
    if field in ("source", "outcomes"):
        model = ModelPipeline(**{**fields, "key": ["id"], field: {"frame": name}})
        return getattr(model, field).look()
    value = {"metrics": [name], "gates": Gates(maximum={name: 1.0})}.get(field, name)
    return ModelPipeline(**{**fields, field: value})


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(("module", "name", "what"), FOREIGN)
def test_what_the_field_does_not_expect_is_never_called(field, module, name, what):
    with pytest.raises(DeclarationError) as refused:
        declare(f"{module}:{name}", field)
    said = str(refused.value)
    assert f"'{module}:{name}' {what}" in said and FIELDS[field] in said
    assert ("load: " if field in ("source", "outcomes") else f"{field}: ") in said


@pytest.mark.parametrize(("module", "name", "what"), FOREIGN)
def test_an_estimator_with_dots_alone_is_held_to_the_same(module, name, what):
    with pytest.raises(DeclarationError, match=f"{module}.{name}' {what}; expected a class with fit and predict"):
        declare(f"{module}.{name}", "estimator")
        build(f"{module}.{name}", {}, None, "regression", 0)


@pytest.fixture
def own(tmp_path, monkeypatch) -> str:
    name = f"own_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.mark.parametrize("name", ["ridge", "wrapped", "bound", "factory", "method", "Mean"])
def test_what_the_project_defines_is_called(name, own):
    assert home_of(getattr(__import__(own), name)) == "the project"
    assert callable(declare(f"{own}:{name}", "estimator").estimator)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("subprocess.call", "is a function of Python's standard library"),
        ("system", "is a function of Python's standard library"),
        ("shell", "is a function of Python's standard library"),
        ("joined", "is a function of Python's standard library"),
        ("os.system", "is a function of Python's standard library"),
        ("Factory", "is a class without fit and predict"),
    ],
)
def test_a_name_in_the_project_for_what_it_only_imports_is_refused(name, what, own):
    with pytest.raises(DeclarationError, match=f"estimator: '{own}:{name}' {what}"):
        declare(f"{own}:{name}", "estimator")
    with pytest.raises(DeclarationError, match=f"'{own}.{name}' {what}"):
        build(f"{own}.{name}", {}, None, "regression", 0)


def test_nothing_of_the_standard_library_is_imported():
    code = """
        import sys
        from mlops_assets import ModelPipeline
        for field in ("estimator", "features"):
            try:
                ModelPipeline(**{"name": "m", "source": "*.csv", "target": "y", "estimator": "a.B", field: "this:s"})
            except Exception:
                pass
        print("this" in sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "False\n"


def test_a_metric_of_an_installed_package_takes_labels_and_predictions():
    assert own_metric("sklearn.metrics:mean_pinball_loss").function.__name__ == "mean_pinball_loss"
    with pytest.raises(DeclarationError, match=r"'sklearn.metrics:get_scorer' is a function of an installed package"):
        own_metric("sklearn.metrics:get_scorer")


@pytest.mark.parametrize(
    ("package", "origin", "home"),
    [("acme_index", None, "an installed package"), ("acme_file", '{"url": "file:///w.whl"}', "the project")],
)
def test_a_project_that_was_installed_from_a_file_is_the_users_own(package, origin, home, tmp_path, monkeypatch):
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    facts = tmp_path / f"{package}-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (facts / "RECORD").write_text(f"{package}/__init__.py,,\n")
    if origin:
        (facts / "direct_url.json").write_text(origin)
    monkeypatch.syspath_prepend(tmp_path)
    assert _home_of_package(package) == home


def test_frame_calls_its_own_functions_only():
    assert Frame("no.such:thing").name == "no.such:thing"
    with pytest.raises(DeclarationError, match="Frame 'os:getcwd': load: 'os:getcwd' is of Python's standard library"):
        Frame("os:getcwd")
