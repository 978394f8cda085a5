"""What must hold of a model after any crash."""

from collections import Counter

from mlops_assets.records.promotions import PromotionLedger
from support.daemon import Loop


def assert_whole(loop: Loop, model: str, batches: int) -> None:
    """Each data version was trained on successfully exactly once, the alias is whole, no pool's slot is taken."""
    trainings = loop.trainings(model)
    assert [training.status for training in trainings] == ["judged"] * len(trainings)
    versions = Counter(version.tags["data_version"] for version in loop.registry.versions(model))
    assert versions == Counter(training.data_version for training in trainings)
    assert loop.newest_data_version(model) == trainings[-1].data_version
    assert set(loop.taken_in(model)) == {f"b{number}" for number in range(1, batches + 1)}
    promotions = PromotionLedger(loop.storage, model).all()
    assert all(each.done or each.abandoned for each in promotions)
    assert [each.number for each in promotions] == list(range(len(promotions), 0, -1))
    champion = loop.registry.champion(model)
    assert champion is not None and loop.recorded_champion(model) == champion.version
    for pool in (f"{model}_champion", f"{model}_training"):
        slots = loop.instance.event_log_storage.get_concurrency_info(pool)
        assert (slots.claimed_slots, slots.pending_steps) == ([], []), pool
