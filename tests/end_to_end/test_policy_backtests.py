"""`policy_backtest` of a deployed model, and of the examples: what it shows, and that it changes nothing."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from mlops_assets import Frame, ModelPipeline, Retraining, Search
from mlops_assets.assets.backtest.policy_backtest import BacktestConfig, recommend
from mlops_assets.assets.backtest.stored_history import StoredHistory
from mlops_assets.errors import MlopsAssetsError, TrainingError
from mlops_assets.modelling.engine import Here, Processes
from mlops_assets.records.model_records import ModelRecords
from support.deployment import REPOSITORY, Deployment, why
from support.synthetic import rows

sys.path.append(str(REPOSITORY / "benchmarks"))

import policies

DATA = Path(os.environ.get("MLOPS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the examples' data is not there: {DATA}")
COUNT = 14
TURN = 8


def turning(number: int) -> pd.DataFrame:
    """From batch 8 on `y` falls with `x` where it rose before."""
    frame = rows(number, count=80)
    return frame.assign(y=frame["y"] - 6 * frame["x"]) if number >= TURN else frame


def turning_batches() -> Iterator[tuple[str, pd.DataFrame]]:
    for number in range(1, COUNT + 1):
        yield f"b{number:02d}", turning(number)


def pipeline(**declared: Any) -> ModelPipeline:
    """A model of the batches of `turning`, from memory."""
    ordinary = {
        **{"source": Frame(turning_batches), "estimator": "sklearn.linear_model.Ridge", "metrics": ["rmse", "mae"]},
        **{"time": "day", "key": ["id"], "target": "y", "holdout": 1, "window": 2},
    }
    return ModelPipeline(name="turning", **{**ordinary, **declared})


@pytest.mark.slow
def test_a_turn_of_the_world_is_shown_with_the_rule_that_answers_it(deployment: Deployment, name: str):
    search = Search({"alpha": [3.0, 1e6]}, method="grid", folds=2)
    model = deployment.model(name, source=Frame(turning_batches), window=2, search=search)
    policies.stored(model.pipeline, Path(model.storage.root))
    assert model.challenge().success
    before = (model.champion(), [each.version for each in model.registry.versions(name)])
    result = model._run("backtest")
    assert result.success, why(result)
    assert (model.champion(), [each.version for each in model.registry.versions(name)]) == before

    shown = model.shown("policy_backtest")
    table = {row["policy"].removesuffix(" (chosen)"): row for row in shown["policies"]}
    assert table["never"]["retrainings"] == 0 and table["never"]["rmse"] > 3.0
    assert table["every batch"]["retrainings"] == 11 and table["every batch, taken"]["promotions"] == 11
    assert all(row["regret"] >= 0 for row in table.values()) and table["oracle"]["regret"] == 0
    chosen = shown["winner"]
    assert f"{chosen} (chosen)" in {row["policy"] for row in shown["policies"]}
    assert table[chosen]["rmse"] < 0.7 * table["never"]["rmse"]
    declarable = [row for policy, row in table.items() if "taken" not in policy and policy != "oracle"]
    assert table[chosen]["total"] <= 1.01 * min(row["total"] for row in declarable)
    assert shown["why"].startswith(f"{chosen}: mean rmse ") and shown["useful_life_batches"] == 2
    assert shown["winner_mean"] == pytest.approx(table[chosen]["rmse"], rel=1e-3)
    for plot in ("quality_over_time", "cost_and_quality", "age"):
        assert shown[plot].startswith("![") and "data:image/png;base64," in shown[plot]
    block = yaml.safe_load(shown["yaml"].removeprefix("```yaml\n").removesuffix("\n```"))
    assert isinstance(Retraining(**block["retraining"]), Retraining)
    assert shown["python"].startswith("```python\nretraining=Retraining(")

    # with the champion's parameters, a replayed model says of the champion's holdout what the champion says of it
    history = StoredHistory(model.records, {"model__alpha": 3.0})
    assert history.loss(COUNT - 1, COUNT - 1) == pytest.approx(model.shown("challenger")["holdout_rmse"], rel=1e-5)


@pytest.mark.slow
def test_two_replays_differ_in_seconds_only_and_batches_come_with_their_last_row(tmp_path: Path):
    model = pipeline()
    storage = policies.stored(model, tmp_path)
    one, other = (recommend(ModelRecords(model, storage), BacktestConfig()) for _ in range(2))
    assert one.backtest == other.backtest and one.settings == other.settings
    arrivals = StoredHistory(ModelRecords(model, storage)).arrivals
    assert [each.name for each in arrivals] == [f"b{number:02d}" for number in range(1, COUNT + 1)]
    assert arrivals[0].time.isoformat() == arrivals[0].label_time.isoformat() == "2024-01-02T01:19:00+00:00"


def test_labels_count_from_when_enough_of_them_are_known(tmp_path: Path):
    """Each label is known three days after its row; of the batch of a day 80% are known with its 64th row."""

    def delayed() -> Iterator[tuple[str, pd.DataFrame]]:
        for batch, frame in turning_batches():
            yield batch, frame.assign(known=frame["day"] + pd.Timedelta("3D"))

    model = pipeline(source=Frame(delayed), known_at="known", window=None)
    storage = policies.stored(model, tmp_path)
    arrivals = StoredHistory(ModelRecords(model, storage)).arrivals
    assert arrivals[0].label_time.isoformat() == "2024-01-05T01:03:00+00:00"
    found = recommend(ModelRecords(model, storage), BacktestConfig(policies=["every batch"]))
    # as of b05 the labels of b01 were known when the holdout begins, as of b04 none; those of b05 come before b08
    assert found.backtest.batches[0] == "b08"
    assert [each.after for each in found.backtest.results[1].trainings][:2] == ["b06", "b07"]


def test_parameters_are_declared_or_of_one_search(tmp_path: Path):
    model = pipeline(params={"alpha": 1e4}, search=Search({"alpha": [0.1, 1e6]}, method="grid", folds=2))
    storage = policies.stored(model, tmp_path)
    declared, once = (
        recommend(ModelRecords(model, storage), BacktestConfig(policies=["every batch"], search=search))
        for search in ("off", "once")
    )
    assert [each.name for each in once.backtest.results] == ["never", "every batch"]
    assert once.winner.mean < 0.9 * declared.winner.mean  # 0.1 is found; 10,000 shrinks the slope to almost nothing


def test_what_is_replayed_can_be_chosen_and_what_cannot_be_is_said(tmp_path: Path):
    model = pipeline()
    storage = policies.stored(model, tmp_path)
    found = recommend(ModelRecords(model, storage), BacktestConfig(newest=6, policies=["never"], price=1.0))
    assert found.backtest.batches == tuple(f"b{number:02d}" for number in range(9, 15)) and found.price == 1.0
    with pytest.raises(TrainingError, match=r"at least 15 labelled batches.* there are 14, of which 5 can be scored"):
        recommend(ModelRecords(model, storage), BacktestConfig(newest=5))
    with pytest.raises(MlopsAssetsError, match="policies 'weekly' are not known; expected some of 'never', 'declared'"):
        recommend(ModelRecords(model, storage), BacktestConfig(policies=["weekly"]))
    hard = pipeline(gates={"minimum": {"r2": 0.999}})
    with pytest.raises(TrainingError, match="no first champion to replay from: there are 14 labelled batches"):
        recommend(ModelRecords(hard, storage), BacktestConfig())


def test_the_backtest_is_no_part_of_the_training_and_its_launchpad_is_filled_in(deployment: Deployment):
    model = deployment.model("launchpad")
    job, training = (model.defs.resolve_job_def(f"launchpad_{what}") for what in ("backtest", "training"))
    assert [node.name for node in job.nodes] == ["launchpad__policy_backtest"]
    assert "launchpad__policy_backtest" not in {node.name for node in training.nodes}
    config = job.run_config["ops"]["launchpad__policy_backtest"]["config"]
    assert config == {"price": 0.0, "search": "off", "policies": [], "newest": 0}


@pytest.mark.slow
@needs_data
def test_the_chosen_rule_retrains_no_more_than_a_clock_of_equal_quality():
    """benchmarks/policies.py replays the other examples too, which takes minutes each."""
    found = policies.replayed("bike_demand", say=lambda _: None)
    chosen, results = found.winner, found.backtest.results
    clocks = [each for each in results if each.name.startswith("every")]
    assert len(clocks) >= 10
    for clock in clocks:
        if abs(clock.mean - chosen.mean) <= 0.01 * chosen.mean:
            assert chosen.retrainings <= clock.retrainings, clock.name
    best = min((each for each in clocks if not each.taken), key=lambda each: each.mean)
    assert chosen.mean <= 1.05 * best.mean and chosen.retrainings < best.retrainings
    always = next(each for each in results if each.name == "every batch, taken")
    never = results[0]
    assert never.mean > 1.3 * always.mean and chosen.mean < 0.75 * never.mean
    assert Retraining(**found.settings) == found.rule


def test_fits_ahead_by_an_engine_give_the_same_replay(tmp_path: Path):
    model = pipeline(retraining=Retraining(min_new_rows=100))
    storage = policies.stored(model, tmp_path)
    config = BacktestConfig(policies=["every batch"])
    found, logged = [], []
    for engine in (None, Here(one_thread=True), Processes(2)):
        logged.append([])
        found.append(recommend(ModelRecords(model, storage), config, log=logged[-1].append, engine=engine))
    assert found[0].backtest == found[1].backtest == found[2].backtest
    assert len(logged[0]) == len(logged[1]) == len(logged[2]) == len(set(logged[2])) > 8
