"""The ledger of batches, where two runs write about the same rows."""

import pytest

from mlops_assets.errors import MlopsAssetsError
from mlops_assets.records.batches import BatchLedger, BatchRecord
from mlops_assets.resources.storage import Storage


@pytest.fixture
def ledger(tmp_path):
    return BatchLedger(Storage(root=str(tmp_path)), "bikes")


@pytest.mark.fault(26)
def test_features_of_rows_that_were_replaced_meanwhile_are_refused(ledger):
    old = BatchRecord("a", "accepted", "run", version="v1")
    ledger.put(BatchRecord("a", "accepted", "other", version="v2"))
    with pytest.raises(MlopsAssetsError, match="'a' was taken in anew meanwhile"):
        ledger.put_features(old, "f1", "code")
    assert ledger.get("a").features is None


def test_features_do_not_bring_back_the_mark_that_a_batch_had_before(ledger):
    old = BatchRecord("a", "accepted", "run", version="v1", mark="m1")
    ledger.put(BatchRecord("a", "accepted", "other", version="v1", mark="m2"))
    ledger.put_features(old, "f1", "code")
    assert (ledger.get("a").mark, ledger.get("a").content) == ("m2", "v1-f1")


def test_of_two_accepted_batches_of_the_same_rows_only_the_later_gives_way(ledger):
    for batch in ("day-2", "day-10"):
        ledger.put(BatchRecord(batch, "accepted", "run", version="v1"))
    assert [ledger.same_rows(batch, "v1") for batch in ("day-2", "day-10", "day-1")] == [None, "day-2", "day-2"]
    assert ledger.same_rows("day-10", "v2") is None
