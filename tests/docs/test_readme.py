"""What README, loop.md and decisions.md show, taken as it stands, and that no page has a block which nobody runs."""

import dagster as dg
import pytest

from mlops_assets import Folder, Gates, ModelPipeline, Retraining
from support.bikes import hours
from support.pages import REPOSITORY, blocks, not_run, pages

RIDGE = "sklearn.linear_model.Ridge"
HERE = "tests/docs/test_readme.py"
RUN_BY = {
    "how-to/servers.md": "tests/deploy/test_page.py",
    "how-to/warm-runs.md": "tests/launcher/conftest.py",
    **{"tutorial.md": "tests/packaging/test_tutorial.py", "how-to/moved-home.md": "tests/cli/test_rehome.py"},
    **dict.fromkeys(("README.md", "loop.md", "decisions.md", "reference/resources.md"), HERE),
    "how-to/large-batches.md": HERE,
}
PYTHON_HERE = {
    **{"README.md": 1, "loop.md": 2, "decisions.md": 2},
    **{"reference/resources.md": 1, "how-to/large-batches.md": 2},
}


def python(page: str) -> list[str]:
    """The Python blocks of a page that are no files."""
    return [block.text for block in blocks(page) if block.language == "python"]


def test_the_readme_is_read_in_a_minute():
    assert len((REPOSITORY / "README.md").read_text().splitlines()) <= 100


@pytest.mark.slow
def test_the_model_of_the_readme_becomes_champion(project):
    for file in (project.folder / "data/bikes").iterdir():
        file.unlink()
    for month in range(1, 6):
        hours(month).to_csv(project.folder / f"data/bikes/2024-{month:02d}.csv", index=False)
    (model,) = python("README.md")
    assert len(model.splitlines()) <= 22
    (project.folder / "defs/bikes").mkdir()
    (project.folder / "defs/bikes/model.py").write_text(model)
    with project.location() as location:
        assert all(run.success for run in location.left_to_itself())
        champion = location.registry.champion("bikes")
        assert champion is not None and champion.version == 1
        assert location.registry.metrics(champion.run_id)["r2"] > 0.8
        inferred = {(each["type"], each["kwargs"].get("column")) for each in location.inferred_suite("bikes")}
    assert ("expect_column_values_to_be_between", "temperature") in inferred
    assert not (project.folder / "defs/bikes/expectations.yaml").exists()


def test_the_page_on_resources_gives_a_model_all_that_it_needs(tmp_path):
    (text,) = python("reference/resources.md")
    page = {}
    exec(text.replace("/var/lib/mlops", str(tmp_path)), page)
    model = ModelPipeline(name="of_the_page", source=Folder("*.csv"), target="y", estimator=RIDGE).build_defs()
    together = dg.Definitions.merge(model, page["deployment"])
    dg.Definitions.validate_loadable(together)  # a resource that an asset asks for and that is not there is an error
    assert {sensor.name for sensor in together.sensors} == {"new_data", "retraining", "registry_watch", "alerts"}


def test_the_page_on_large_batches_declares_limits_and_a_function_that_may_get_a_part():
    limits, chunked = python("how-to/large-batches.md")
    page = {"build": lambda batch, history: batch}
    exec(limits.replace("ModelPipeline(\n", "model = ModelPipeline(\n"), page)
    assert page["model"].source.limits.memory_mb == 500
    model = {"name": "clicks", "source": Folder("*.csv"), "time": "at", "target": "bought", "estimator": RIDGE}
    page["declared"] = model
    declared = eval(chunked.replace("...", "**declared"), page)
    assert declared.chunked and declared.lookback == "1h"


def test_the_page_on_the_loop_shows_the_defaults_and_a_declaration_that_holds():
    policy, late = python("loop.md")
    assert eval(policy, {"Retraining": Retraining}) == Retraining()
    model = eval(late, {"ModelPipeline": ModelPipeline, "Folder": Folder})
    kinds = {key.path[-1] for asset in model.build_defs().assets for key in asset.keys}
    assert {"dataset", "outcomes", "performance"} <= kinds


def test_the_page_on_decisions_shows_the_defaults_of_the_gates():
    gates, refit = python("decisions.md")
    assert eval(gates, {"Gates": Gates}) == Gates(guards={"mae": 0.5})
    assert eval(refit, {"ModelPipeline": ModelPipeline, "Folder": Folder}).refit


@pytest.mark.parametrize("page", sorted(pages()))
def test_every_block_of_a_page_is_run_by_a_test_or_listed_with_the_reason(page):
    """`project` sees to it that a page which a test follows is followed whole."""
    shown = [block for block in blocks(page) if block.language != "text" and not_run(block) is None]
    followed = (REPOSITORY / "tests/docs/test_how_to.py").read_text()
    if not shown or f'project.follow("{page}"' in followed:
        return
    assert page in RUN_BY, f"{shown[0].place}: no test runs this block"
    assert page in (REPOSITORY / RUN_BY[page]).read_text(), f"{RUN_BY[page]} does not speak of {page}"
    if page in PYTHON_HERE:
        here = [block.language for block in shown]
        assert here == ["python"] * PYTHON_HERE[page], f"{page}: no test runs all of it"
