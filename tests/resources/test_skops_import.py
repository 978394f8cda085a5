import subprocess
import sys

import pytest

SAME = """
import sys, mlflow.sklearn, numpy, scipy.special
from mlops_assets.resources.mlflow.skops_import import import_skops
{ours}
from skops.io import _trusted_types as trusted, _utils as utils
searched = [utils.get_public_type_names(module, numpy.ufunc) for module in (numpy, scipy.special)]
assert [trusted.NUMPY_UFUNC_TYPE_NAMES, trusted.SCIPY_UFUNC_TYPE_NAMES] == searched
assert utils.whichmodule.__module__ in ("skops.io._utils", "pickle")
assert "dask" not in sys.modules or {searches}
print(len(searched[0]), len(searched[1]), sorted(trusted.SKLEARN_ESTIMATOR_TYPE_NAMES))
"""


def _types(ours: str) -> str:
    script = SAME.format(ours=ours, searches=not ours)
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.mark.slow
def test_skops_trusts_the_same_types_as_where_it_searches_all_modules_itself():
    ours = _types("import_skops()")
    assert ours == _types("") and int(ours.split()[0]) > 50
