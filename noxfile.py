"""`nox`: the lowest and the newest version of everything we depend on, the newest on each Python that is here."""

import os
from pathlib import Path

import nox

PYTHONS = ["3.11", "3.12", "3.13"]
TOOLS = ["pytest", "pytest-xdist", "hypothesis", "psutil"]
"""What runs the tests, at any version: that is not what they are about."""

PROOFS = {
    "dagster": [
        "tests/components/test_component.py",
        "tests/components/test_component_schema.py",
        "tests/sensors/test_one_process.py",
        "tests/test_sqlite_storage.py",
    ],
    "mlflow, scikit-learn, skops": ["tests/end_to_end/test_champion.py", "tests/resources/test_model_files.py"],
    "great-expectations": ["tests/resources/test_great_expectations.py"],
    "evidently, matplotlib": ["tests/end_to_end/test_ui_metadata.py"],
    "pandas, pyarrow, numpy": ["tests/resources/test_storage.py"],
    "scipy": ["tests/decisions/drift/test_batch_drift.py"],
    "sqlalchemy, alembic, psycopg": ["tests/sources/table/test_table_look.py", "tests/records/test_store.py"],
    "typer, rich": ["tests/cli/test_help.py", "tests/cli/test_history.py"],
    "optuna": ["tests/modelling/fitting/test_search.py"],
    "apprise": ["tests/resources/test_alerts_delivery.py"],
}
"""Tests that use a dependency as the pack does: few, since each session installs and runs all of them."""

SHORT = ["tests/components/test_component.py", "tests/resources/test_model_files.py", "tests/cli/test_help.py"]
"""What the other Pythons run: a declaration, a model stored and loaded back, the command line."""

nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False  # a Python that is not here is skipped, and told at the end
# The commands that pyenv puts into PATH find only those Pythons that this variable names.
pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
if pyenv.is_dir():
    os.environ["PYENV_VERSION"] = ":".join(sorted(path.name for path in pyenv.iterdir()))


@nox.session(venv_backend="uv")
@nox.parametrize(
    "python,resolution",
    [(PYTHONS[0], "lowest-direct"), *((python, "highest") for python in PYTHONS)],
    ids=["lowest", *(f"newest-{python}" for python in PYTHONS)],
)
def versions(session: nox.Session, resolution: str) -> None:
    """The proofs with the lowest, or the newest, version that pyproject.toml allows of each dependency."""
    # The lowest of which there is a wheel for this Python: an old one would be built from source, or fail to.
    chosen = ("--resolution", resolution, "--only-binary", ":all:")
    session.install("-e", ".[alerts,optuna,postgres]", "dagster-dg-cli", *chosen)
    session.install(*TOOLS)
    # One Python runs every proof; the others show that the versions install, import and carry a model through a run.
    proofs = [path for paths in PROOFS.values() for path in paths] if session.python == PYTHONS[0] else SHORT
    # Warnings are errors with the versions of constraints.txt; other versions warn of other things, which are told.
    options = ["-q", "-n", "2", "--dist", "loadfile", "--durations", "15", "-m", "not slow", "-W", "default"]
    session.run("python", "-m", "pytest", *options, *proofs)


@nox.session(venv_backend="none")
def stores(session: nox.Session) -> None:
    """A store of the lowest MLflow, opened by the newest and by the lowest again, in the environments of `versions`."""
    names = ("versions-lowest", f"versions-newest-{PYTHONS[0].replace('.', '-')}")
    lowest, newest = (Path(".nox", name, "bin", "python").absolute() for name in names)
    if not lowest.exists() or not newest.exists():
        session.skip("it uses the environments of versions(lowest) and versions(newest-3.11): run these first")
    tests = "tests/resources/test_mlflow_versions.py"
    session.run(
        *(str(newest), "-m", "pytest", "-q", "-W", "default", tests),
        env={"MLOPS_LOWEST_PYTHON": str(lowest)},
        external=True,
    )
