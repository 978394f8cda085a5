"""What many models in one code location cost: processor seconds to declare, load, and check them.

`python benchmarks/many_models.py [--models 100 200 500]`. `declare` builds the definitions, `repository` collects
them, `jobs` resolves the jobs and `describe` computes what a code server tells of them to Dagster: the server pays all
four, once. `run` is what the process of a batch run of one model spends on the whole code location before its first
step. `check` is all of `dg check defs`. Imports of libraries are in `check` only.
"""

import argparse
import importlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

LOCATION = """
from pathlib import Path

import dagster as dg

from mlops_assets import Folder, ModelPipeline
from resources import resources

HOME = Path(__file__).parent / "data"
ESTIMATOR = "sklearn.ensemble.HistGradientBoostingRegressor"


def model(name):
    source = Folder(str(HOME / name / "*.csv"))
    return ModelPipeline(name=name, source=source, time="at", key=["at"], target="y", estimator=ESTIMATOR)


defs = dg.Definitions.merge(
    *(model(f"model_{number:03d}").build_defs() for number in range(MODELS)),
    dg.Definitions(resources=resources, executor=dg.in_process_executor),
)
"""
STEPS = ("declare", "repository", "jobs", "describe", "run")
RUN = "model_000_batch"


def project(home: Path, models: int) -> Path:
    """A project of so many models, as `dg` reads it."""
    (home / "defs").mkdir()
    (home / "defs" / "__init__.py").touch()
    (home / "definitions.py").write_text(f"MODELS = {models}\n{LOCATION}")
    settings = (HERE.parent / "pyproject.toml").read_text()
    (home / "pyproject.toml").write_text(settings[settings.index("[tool.dg]") : settings.index("[tool.ruff]")])
    return home


def seconds(call: Callable[[], object]) -> float:
    begin = time.process_time()
    call()
    return time.process_time() - begin


def load(in_run: bool) -> None:
    """Print the seconds of each step, in a process of its own: what is imported beforehand is not counted."""
    import dagster as dg
    from dagster._core.remote_representation.external_data import RepositorySnap

    import mlops_assets.components.model_pipeline  # noqa: F401
    import resources  # noqa: F401
    from mlops_assets.assets.shared.keys import MODEL
    from mlops_assets.dagster_private import DefinitionsLoadContext, DefinitionsLoadType, is_executed_here

    sys.path.insert(0, str(Path.cwd()))
    DefinitionsLoadContext.set(DefinitionsLoadContext(DefinitionsLoadType.INITIALIZATION))  # as Dagster does
    if in_run:
        is_executed_here(dg.DagsterRun(job_name=RUN, tags={MODEL: RUN.removesuffix("_batch")}))
        print(seconds(lambda: importlib.import_module("definitions").defs.get_repository_def().get_job(RUN)))
        return
    spent = [seconds(lambda: importlib.import_module("definitions"))]
    defs: dg.Definitions = sys.modules["definitions"].defs
    repository = defs.get_repository_def
    spent += [seconds(repository), seconds(lambda: repository().load_all_definitions())]
    spent += [seconds(lambda: RepositorySnap.from_def(repository(), defer_snapshots=True))]
    print(*spent)


def measure(models: int) -> list[float]:
    """The seconds of each step, and those of `dg check defs` with all processes that it starts."""
    with tempfile.TemporaryDirectory() as folder:
        home = project(Path(folder), models)
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "MLOPS_ASSETS_HOME": str(home / "home")}
        environment.pop("DAGSTER_HOME", None)
        command = [sys.executable, str(HERE / "many_models.py"), "--load"]
        settings = {"cwd": home, "env": environment, "check": True, "capture_output": True, "text": True}
        loads = [subprocess.run([*command, process], **settings).stdout for process in ("server", "run")]
        before = children()
        check = [str(Path(sys.executable).parent / "dg"), "check", "defs"]
        subprocess.run(check, **settings)
        return [*map(float, " ".join(loads).split()), children() - before]


def children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, nargs="+", default=[100, 200, 500])
    parser.add_argument("--load", choices=("server", "run"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load:
        load(options.load == "run")
        return
    print("models", *(f"{step:>10}" for step in (*STEPS, "check")))
    for models in options.models:
        print(f"{models:6}", *(f"{spent:10.1f}" for spent in measure(models)), flush=True)


if __name__ == "__main__":
    main()
