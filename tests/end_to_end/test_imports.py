"""Loading the code location imports nothing heavy, and writes nothing."""

import json
import os
import subprocess
import sys

from support.deployment import REPOSITORY

HEAVY = (
    *("evidently", "great_expectations", "matplotlib", "mlflow", "optuna", "scipy", "sklearn", "skops", "statsmodels"),
    *("numpy", "pandas", "pyarrow"),
)

LOAD = """
import json, sys
import definitions
assets = definitions.defs.resolve_all_asset_specs()
print(json.dumps([sorted(name for name in sys.modules if "." not in name), len(assets)]))
"""


def test_code_location_imports_nothing_heavy(tmp_path):
    home = tmp_path / "home"
    environment = {**os.environ, "MLOPS_ASSETS_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", LOAD], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True
    )
    modules, assets = json.loads(done.stdout)
    assert [name for name in HEAVY if name in modules] == []
    assert assets >= 20
    assert not home.exists()
