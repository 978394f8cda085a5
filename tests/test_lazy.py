"""Lazy modules cost nothing until something of them is used, and are then the modules themselves."""

import subprocess
import sys

import pandas
import pytest
import scipy.spatial.distance

from mlops_assets import lazy
from mlops_assets.faces import face


def test_attributes_are_those_of_the_module():
    assert lazy.pd.DataFrame is pandas.DataFrame
    assert lazy.scipy.spatial.distance.squareform is scipy.spatial.distance.squareform


def test_what_is_patched_in_the_module_is_seen(monkeypatch):
    monkeypatch.setattr(pandas, "read_csv", len)
    assert lazy.pd.read_csv is len


@pytest.mark.parametrize("module", ["matplotlib.layout_engine", "matplotlib.backends.backend_agg", "scipy.fft"])
def test_submodule_is_imported_when_it_is_asked_for(module):
    script = (
        "import sys; from mlops_assets.lazy import matplotlib, scipy;"
        "assert not {'matplotlib', 'scipy'} & {*sys.modules};"
        f"{module}.__name__; assert '{module}' in sys.modules, '{module}'"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("name", ["DataFram", "_no_such", "__wrapped__"])
def test_what_is_not_there_is_told_as_the_module_tells_it(name):
    with pytest.raises(AttributeError, match=f"module 'pandas' has no attribute '{name}'"):
        getattr(lazy.pd, name)


def test_face_refuses_a_name_that_a_module_beside_it_has():
    with pytest.raises(ValueError, match="decide is the name of a module, too"):
        face("mlops_assets.example", {"decide": "decide"})
