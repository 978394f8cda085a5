"""What the sensor `alerts` tells people of, from real records and real runs."""

from datetime import timedelta

from mlops_assets.assets.shared.keys import DATA_VERSION, DECLARATION_VERSION, KIND, MARK, MODEL
from support.alerts_world import NOW, UI
from support.ledger_rows import spoil


def training(data="data1"):
    return {MODEL: "bikes", KIND: "training", DATA_VERSION: data, DECLARATION_VERSION: "decl"}


def test_drift_is_told_when_confirmed_and_once_for_each_champion(world):
    world.crown(4)
    world.report("drift", "no drift")
    assert world.alarms() == []
    world.report("drift")
    for _ in range(10):
        world.tell()
    (body,) = world.webhook.received
    assert body["title"] == "[bikes] drift: 2 of the newest 3 batches of champion version 4"
    assert body["message"].split("\n")[0] == "b0, b2. b2: p of b2"
    assert body["message"].endswith(f"{UI}/assets/bikes/drift?view=partitions&partition=b2")
    world.report("drift", "drift")
    world.tell()
    assert len(world.webhook.received) == 1
    world.crown(5)
    assert world.alarms() == []  # these reports are on the champion before
    world.report("drift", "drift", version=5)
    world.tell()
    assert world.webhook.titles[1:] == ["[bikes] drift: 2 of the newest 2 batches of champion version 5"]


def test_decay_counts_only_batches_that_could_be_judged(world):
    world.crown(4)
    world.report("decay", "insufficient labels", "insufficient labels", "decay", kind="performance")
    assert world.alarms() == [("decay", "2 of the newest 2 batches of champion version 4")]


def test_three_inconclusive_decisions_in_a_row_are_told_once_a_streak(world):
    for version, verdict in enumerate(["promote", "inconclusive", "inconclusive"], 1):
        world.judge(version, verdict)
    assert world.alarms() == []
    for version in (4, 5, 6):
        world.judge(version, "inconclusive")
        world.tell()
    assert world.webhook.titles == ["[bikes] inconclusive: the last 3 decisions on challengers"]
    world.judge(7, "keep")
    for version in (8, 9, 10):
        world.judge(version, "inconclusive")
        world.tell()
    assert len(world.webhook.received) == 2


def test_a_challenger_that_waits_for_approval_is_told_until_it_is_approved(world):
    world.judge(3, "waiting for approval")
    assert world.alarms() == [("approval", "version 3 waits for a person's approval")]
    world.judge(3, "promote")
    assert world.alarms() == []


def test_attempts_at_the_same_thing_are_one_failed_run_and_at_last_a_training_given_up(world):
    for _ in range(2):
        world.fail(**training())
        world.tell()
    world.fail(**training("data2"))
    world.tell()
    assert world.webhook.titles == ["[bikes] run failed: training run"] * 2
    assert world.webhook.received[0]["message"].startswith("broken: ValueError: the disk is full")
    run_id = world.fail(**training())
    world.tell()
    assert world.webhook.titles[2:] == ["[bikes] training given up: data version data1"]
    assert "3 attempts failed" in world.webhook.received[2]["message"]
    assert world.webhook.received[2]["message"].endswith(f"{UI}/runs/{run_id}")


def test_a_training_of_which_something_came_was_not_given_up(world):
    for _ in range(3):
        world.fail(**training())
    world.judge(1, "keep", status="refused", data="data1")
    assert sorted(world.alarms()) == [("challenger refused", "version 1"), ("run failed", "training run")]


def test_a_refused_challenger_is_told_once_with_or_without_a_failed_run(world):
    world.judge(2, "keep", status="refused")
    world.judge(3, "keep", status="refused", run_id=world.fail(**training("data3")))
    for _ in range(3):
        world.tell()
    assert sorted(world.webhook.titles) == [
        "[bikes] challenger refused: version 2",
        "[bikes] challenger refused: version 3",
    ]
    world.fail(**training("data4"))
    world.judge(4, "keep")
    assert world.alarms() == [("run failed", "training run")]


def test_a_run_that_rejected_its_batch_is_told_as_a_rejected_batch_only(world):
    tags = {MODEL: "bikes", KIND: "batch", MARK: "m1", "dagster/partition": "2012-03"}
    world.fail(**tags)
    world.reject("2012-03", run_id=world.fail(**tags))
    assert world.alarms() == [("batch rejected", "2012-03")]
    world.fail(**{**tags, "dagster/partition": "2012-04"})
    world.cursor = None
    assert sorted(world.alarms()) == [("batch rejected", "2012-03"), ("run failed", "batch run of 2012-04")]


def test_a_failed_run_that_is_not_of_ours_is_not_told(world):
    world.fail()
    world.fail(**{MODEL: "a model of another code location"})
    assert world.alarms() == []


def test_a_registry_fault_is_told_once_and_again_when_it_comes_back(world):
    world.check(True, "intact")
    assert world.alarms() == []
    for _ in range(3):
        world.check(False, "the alias names version 7, decided was 4")
        world.tell()
    (body,) = world.webhook.received
    assert body["message"] == (
        "the alias names version 7, decided was 4\nmodel: bikes\nowner: team:mobility\n"
        f"{UI}/assets/bikes/champion?view=checks&checkDetail=registry_intact"
    )
    world.check(False, "version 4 was deleted")
    world.tell()
    world.check(True, "intact")
    world.tell()
    assert len(world.webhook.received) == 2
    world.check(False, "version 4 was deleted")
    world.tell()
    assert len(world.webhook.received) == 3


def test_a_run_that_does_not_come_to_its_check_neither_ends_nor_repeats_a_registry_fault(world):
    world.check(True, "intact")
    world.check(False, "the alias names version 7, decided was 4")
    world.plan_check()
    assert world.alarms() == [("registry", "check registry_intact failed")]
    world.cursor = None
    world.tell()
    world.check(False, "the alias names version 7, decided was 4")
    world.plan_check()
    world.tell()
    assert len(world.webhook.received) == 1
    world.check(True, "intact")
    world.plan_check()
    assert world.alarms() == []


def test_what_is_older_than_a_week_is_never_told(world):
    world.judge(1, "waiting for approval", at=NOW - timedelta(days=8))
    world.judge(2, "waiting for approval", at=NOW - timedelta(days=6))
    assert world.alarms() == [("approval", "version 2 waits for a person's approval")]


def test_a_record_that_cannot_be_read_is_told_once_and_holds_up_no_other_alert(world):
    world.crown(4)
    world.report("drift", "drift")
    world.reject("bad")
    spoil(world.storage, "bikes", "batches", "bad")
    spoil(world.storage, "bikes", "promotions", "000001", "[]")
    world.judge(3, "waiting for approval")
    for _ in range(3):
        world.tell()
    assert sorted(world.webhook.titles) == [
        "[bikes] approval: version 3 waits for a person's approval",
        "[bikes] record cannot be read: batches/bad",
        "[bikes] record cannot be read: promotions/000001",
    ]
    assert "record bikes/batches/bad in" in "".join(body["message"] for body in world.webhook.received)
