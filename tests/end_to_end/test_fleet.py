"""A fleet through the whole loop: one declaration, one registered model, a model for each shop that gains."""

import numpy as np
import pandas as pd
import pytest

from mlops_assets import Fleet
from mlops_assets.errors import DeclarationError
from mlops_assets.reproduction.reproduce import reproduce
from support.deployment import why
from support.synthetic import rows

SHOPS = np.array(["north", "south", "east", "west", "new"])


def of_shops(number, shops=4):
    """Batch `number` of 800 rows; in the south, y falls with x. A row of each shop in turn, the shop is in its key."""
    batch = rows(number, 800)
    batch["shop"] = SHOPS[np.arange(len(batch)) % shops]
    batch["y"] = np.where(batch["shop"] == "south", -batch["y"], batch["y"])
    return batch


@pytest.fixture(scope="module")
def fleet(deployment):
    model = deployment.model("fleet_of_shops", key=["id", "shop"], fleet=Fleet(by="shop"), slices=["shop"])
    model.prepare(**{f"b{number}": of_shops(number) for number in (1, 2, 3)})
    result = model.challenge()
    assert result.success, why(result)
    return model


def test_one_version_holds_all_shops_and_is_promoted(fleet):
    assert [version.version for version in fleet.registry.versions(fleet.name)] == [1]
    assert fleet.champion() == 1
    shown = fleet.shown("challenger")
    assert shown["segments"] == 4 and shown["segments_with_own_model"] >= 1
    table = pd.DataFrame(shown["segment_models"]).set_index("segment")
    assert set(table.index) == {"north", "south", "east", "west"}
    assert table.loc["south", "model"] == "own" and len(table.loc["south", "digest"]) == 64


def test_a_batch_is_scored_by_the_model_of_each_rows_shop(fleet):
    batch = of_shops(4, shops=5)
    fleet.take_in(fleet.land("b4", batch))
    result = fleet.materialize("features", "predictions", batch="b4")
    assert result.success, why(result)
    predicted = fleet.predictions("b4")["prediction"].to_numpy()
    south = (batch["shop"] == "south").to_numpy()
    assert np.corrcoef(predicted[south], batch["x"][south])[0, 1] < -0.95
    assert np.corrcoef(predicted[~south], batch["x"][~south])[0, 1] > 0.8
    assert np.isfinite(predicted).all()  # also of a shop that no version has seen


def test_a_version_of_a_fleet_is_reproduced_bit_for_bit(fleet):
    found = reproduce(fleet.records, fleet.registry, fleet.registry.versions(fleet.name)[0])
    assert (found.verdict, found.differences, found.notes) == ("identical", (), ())


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"fleet": Fleet(by="y")}, "fleet's column 'y' is also declared as target"),
        ({"fleet": Fleet(by="shop"), "drop": ["shop"]}, "is also declared as target, time, group, drop or optional"),
    ],
)
def test_a_fleet_that_does_not_fit_the_other_fields_is_refused(deployment, declared, said):
    with pytest.raises(DeclarationError, match=said):
        deployment.model("wrong_fleet", **declared)


@pytest.fixture(scope="module")
def second(deployment):
    """Only the east changes between the first version and the second."""
    model = deployment.model("fleet_keeps", key=["id", "shop"], fleet=Fleet(by="shop"))
    model.prepare(b1=of_shops(1), b2=of_shops(2))
    assert model.challenge().success and model.champion() == 1
    for number in (3, 4, 5):
        batch = of_shops(number)
        batch["y"] = np.where(batch["shop"] == "east", batch["y"] - 6 * batch["x"], batch["y"])
        model.prepare(**{f"b{number}": batch})
    result = model.challenge()
    assert result.success, why(result)
    assert model.champion() == 2
    return model


def test_a_shop_keeps_the_champions_model_unless_its_own_gate_passes(second):
    """The next version holds its new model and the champion's of the other shops."""
    model = second
    first, second, *_ = sorted(model.registry.versions(model.name), key=lambda version: version.version)
    assert second.tags["segments_of"] == "1"
    before, after = (model.registry.load(version).named_steps["fleet"] for version in (first, second))
    assert set(after.route_) == {"north", "south", "west"}
    assert after.digests()["south"] == before.digests()["south"]
    for batch in (of_shops(6), of_shops(7)):
        X = batch[list(before.feature_names_in_)]
        same = before.predict(X) == after.predict(X)
        assert (same == (batch["shop"] != "east")).all()
    table = pd.DataFrame(model.shown("challenger")["segment_models"]).set_index("segment")
    assert table["kept"].to_dict() == {"north": True, "south": True, "west": True, "east": False}
    assert table.loc["east", "gain_on_champion"] > 1 and table.loc["east", "adjusted_on_champion"] < 0.001
    assert (table.drop(index="east")["adjusted_on_champion"] > 0.05).all()
    found = reproduce(model.records, model.registry, second)
    assert (found.verdict, found.differences, found.notes) == ("identical", (), ())


def test_one_shop_goes_back_to_the_model_that_it_had(second):
    """The launchpad's list of segments: a version of its own, on record, and put together again bit for bit."""
    asked = {"action": "rollback", "segments": ["east"], "by": "ada", "reason": "the east is wrong"}
    result = second.materialize("champion", **asked)
    assert result.success, why(result)
    one, two, three = sorted(second.registry.versions(second.name), key=lambda version: version.version)
    assert second.champion() == three.version == 3
    assert (three.tags["rolled_back_from"], three.tags["segments_from"]) == ("2", "1")
    before, present, back = (second.registry.load(version).named_steps["fleet"] for version in (one, two, three))
    batch = of_shops(8, shops=5)
    X, east = batch[list(before.feature_names_in_)], (batch["shop"] == "east").to_numpy()
    np.testing.assert_array_equal(back.predict(X)[east], before.predict(X)[east])
    np.testing.assert_array_equal(back.predict(X)[~east], present.predict(X)[~east])
    assert (back.predict(X)[east] != present.predict(X)[east]).all()
    digests = {name: digest for name, digest in present.digests().items() if name != "east"}
    digests |= {name: digest for name, digest in before.digests().items() if name == "east"}
    assert back.digests() == digests
    newest = second.records.promotions.champion()
    assert (newest.version, newest.how, newest.by) == (3, "rollback", "ada")
    assert newest.reason == "rollback of segments 'east': the east is wrong"
    found = reproduce(second.records, second.registry, three)
    assert (found.verdict, found.differences) == ("identical", ())
    assert found.notes == ("put together of versions 2 and 1, which `reproduce` fits again",)
    training = second.materialize("training_set", "challenger")
    assert training.success and second.shown("challenger")["version"] == 2  # on its rows, not the one put together


def test_a_shop_that_the_former_version_has_never_seen_cannot_go_back(second):
    result = second.materialize("champion", action="rollback", version=1, segments=["mars"], by="ada", reason="why not")
    assert "segments 'mars' are not in the former version" in why(result)
