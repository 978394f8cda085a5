"""Segments of a fleet watched one by one: which decayed, which drifted, and the board of those that need somebody."""

import json
from contextlib import ExitStack, contextmanager

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from mlops_assets import Fleet
from mlops_assets.cli import segments as command
from mlops_assets.cli.code_location import Location
from mlops_assets.cli.main import app
from mlops_assets.cli.target import Target
from mlops_assets.records.segment_watch import SegmentWatches, current_board, segment_models
from support.deployment import checks, failed, why
from support.synthetic import rows

SHOPS = np.array([*(f"shop {number}" for number in range(8)), "tiny"])
SHARE = np.array([1.0] * 8 + [0.05])


def of_shops(number, decayed=(), drifted=(), size=1_200):
    """Batch `number` of eight shops and a tiny one; y of `decayed` shops and z of `drifted` ones are others."""
    batch, random = rows(number, size), np.random.default_rng(number)
    batch["id"] = 10_000 * number + np.arange(size)
    batch["shop"] = random.choice(SHOPS, size, p=SHARE / SHARE.sum())
    batch["y"] = np.where(batch["shop"].isin(decayed), batch["y"] + 3 * random.normal(size=size), batch["y"])
    batch["z"] = np.where(batch["shop"].isin(drifted), batch["z"] + 3, batch["z"])
    return batch


@pytest.fixture(scope="module")
def fleet(deployment):
    """A champion of three batches, a calm batch, and two in which shops changed."""
    model = deployment.model("watched_fleet", key=["id", "shop"], fleet=Fleet(by="shop"), pages="never")
    model.prepare(**{f"b{number}": of_shops(number) for number in (1, 2, 3)})
    result = model.challenge()
    assert result.success, why(result)
    return model


@pytest.fixture(scope="module")
def calm(fleet):
    return taken_in(fleet, "b4", of_shops(4))


@pytest.fixture(scope="module")
def changed(fleet, calm):
    return taken_in(fleet, "b5", of_shops(5, decayed=["shop 3", "shop 7"], drifted=["shop 5"]))


@pytest.fixture(scope="module")
def later(fleet, changed):
    return taken_in(fleet, "b6", of_shops(6, decayed=["shop 3", "shop 1"]))


def taken_in(model, batch, frame):
    result = model.take_in(model.land(batch, frame))
    assert result.success, why(result)
    return result


def test_segments_are_unknown_without_a_champion(deployment):
    model = deployment.model("young_fleet", key=["id", "shop"], fleet=Fleet(by="shop"))
    model.prepare(b1=of_shops(1, size=200))
    assert failed(model.materialize("drift", batch="b1"))["no_segment_drift"].startswith("young_fleet has no champion")
    assert failed(model.materialize("performance", batch="b1")).keys() == {"no_decay", "no_segment_decay"}


def test_a_calm_batch_has_no_alarms(calm):
    found = checks(calm)
    assert found["no_segment_decay"].description == "0 of 9 segments decayed (8 have enough rows)"
    assert found["no_segment_drift"].description.startswith("0 of 9 segments drifted (")
    assert found["no_segment_decay"].passed and found["no_segment_drift"].passed


def test_only_segments_that_changed_are_alarms(changed, fleet):
    said = failed(changed)
    assert said["no_segment_decay"].startswith("2 of 9 segments decayed (8 have enough rows): ")
    assert said["no_segment_decay"].count("'shop ") == 2
    assert all(f"'{name}' (rmse " in said["no_segment_decay"] for name in ("shop 3", "shop 7"))
    assert said["no_segment_drift"].startswith("1 of 9 segments drifted (")
    assert ": 'shop 5' (z, effect " in said["no_segment_drift"]
    assert not checks(changed)["no_segment_decay"].blocking
    report = fleet.records.reports.get("performance", "b5")
    assert (report.figures["segments_tested"], report.figures["segments_decayed"]) == (8, 2)


def test_the_board_says_who_needs_somebody_since_when_and_what_to_do(later, fleet):
    board, figures = current_board(fleet.records, fleet.records.champion)
    board = board.set_index("segment")
    assert board["need"].to_dict() == {"shop 1": "decay", "shop 3": "decay", "tiny": "few rows"}
    assert board["since"].to_dict() == {"shop 1": "b6", "shop 3": "b5", "tiny": ""}
    assert (board.loc[["shop 1", "shop 3"], "ratio"] > 1.5).all() and (
        board.loc[["shop 1", "shop 3"], "p"] < 0.05
    ).all()
    assert board.loc["tiny", "model"] == "pooled" and board.loc["tiny", "what_to_do"].startswith("nothing: ")
    assert (figures["segments"], figures["decay_alarms"], figures["decay_batch"]) == (9, 2, "b6")
    shown = fleet.shown("performance")
    assert (shown["segments_decayed"], shown["segments_on_board"]) == (2, 3)
    assert [row["segment"] for row in shown["board"]] == list(board.index)


def test_a_segment_with_few_rows_a_batch_has_those_of_earlier_batches(later, fleet):
    watches = SegmentWatches(fleet.records, "decay", fleet.records.champion)
    newest, table = watches.newest()
    tiny = table.set_index("segment").loc["tiny", "rows"]
    in_batches = [
        int((watches.losses(watch)["segment"] == "tiny").sum()) for _, watch in watches.before(fleet.record("b6"))
    ]
    own = int((watches.losses(newest)["segment"] == "tiny").sum())
    assert tiny == own + sum(in_batches) and len(in_batches) == 2  # b4 and b5; the champion was made from b1 to b3
    others = table.set_index("segment").drop(index="tiny")["rows"]
    assert others.sum() < 1_200  # each has enough in its newest batch


def test_an_older_batch_that_is_judged_again_changes_no_board(later, fleet):
    before, _ = current_board(fleet.records, fleet.records.champion)
    assert fleet.materialize("performance", batch="b5").success
    after, _ = current_board(fleet.records, fleet.records.champion)
    pd.testing.assert_frame_equal(before, after)


def test_the_models_of_segments_are_on_record(fleet):
    models = segment_models(fleet.records, fleet.records.champion).set_index("segment")
    assert set(models.index) == set(SHOPS) and not models["failed"].any()
    assert models["tried"].to_dict() == {name: name != "tiny" for name in models.index}
    assert (models["kept_for"] == 0).all()


@pytest.fixture
def run(fleet, monkeypatch, tmp_path):
    """Runs the command on the code location of the fleet."""

    @contextmanager
    def located(*_):
        with ExitStack() as stack:
            target = Target(kind="python_file", name="defs.py", folder=tmp_path, location_name="defs", why="-f")
            yield Location(target, fleet.defs.get_repository_def(), fleet.instance, stack)

    monkeypatch.setattr(command, "located", located)
    return lambda *words: CliRunner().invoke(app, ["segments", *words])


def test_the_command_shows_the_same_board(run, later, fleet):
    said = run("watched_fleet")
    assert said.exit_code == 0, said.output
    assert "9 segments" in said.stdout and "2 decayed as of batch b6, of 8 with rows enough" in said.stdout
    shown = json.loads(run("watched_fleet", "--json", "--first", "2").stdout)
    assert (shown["segments"], shown["decay_alarms"], shown["needing_somebody"]) == (9, 2, 3)
    assert {(row["segment"], row["since"]) for row in shown["segments_shown"]} == {("shop 1", "b6"), ("shop 3", "b5")}
