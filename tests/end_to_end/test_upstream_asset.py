"""An asset that the project already has drives a model: each materialisation or partition is taken in."""

from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from mlops_assets import Frame, Limits, UpstreamAsset
from mlops_assets.assets.shared.keys import asset_key
from mlops_assets.sources.keys import safe_key
from support.deployment import QUIET, Deployment, why
from support.sensed import Project, ridge
from support.synthetic import rows


class Lake(dg.ConfigurableIOManager):
    """The project's own IO manager: a file for each asset and partition."""

    folder: str
    broken: bool = False

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        pd.to_pickle(obj, self._path(context))

    def load_input(self, context: dg.InputContext) -> Any:
        if self.broken:
            raise OSError("no answer from s3://me:canary@lake/rentals")
        return pd.read_pickle(self._path(context))

    def _path(self, context: Any) -> Path:
        partition = f"@{context.partition_key}".replace("|", "+") if context.has_partition_key else ""
        return Path(self.folder) / ("-".join(context.asset_key.path) + partition)


class Rentals:
    """An asset `lake/rentals` whose values a test sets."""

    def __init__(self, project_of: Any, partitions: dg.PartitionsDefinition[Any] | None = None) -> None:
        self.value: Any = None

        @dg.asset(key=["lake", "rentals"], partitions_def=partitions, io_manager_key="lake")
        def rentals() -> Any:
            return self.value

        self.asset = rentals
        self.project: Project = project_of(rentals)

    def materialize(self, value: Any, partition: str | None = None) -> None:
        """A run of the project's own asset."""
        self.value = value
        result = dg.materialize(
            [self.asset],
            instance=self.project.instance,
            resources={"lake": self.project.resources["lake"]},
            partition_key=partition,
            run_config=QUIET,
        )
        assert result.success


@pytest.fixture
def project_of(deployment: Deployment, name: str, tmp_path: Path) -> Any:
    """A project with some assets of its own and a model on `lake/rentals`; options are those of the source."""
    deployment.instance.wipe_assets([dg.AssetKey(["lake", "rentals"])])

    def project(*assets: Any, declared: dict[str, Any] | None = None, **options: Any) -> Project:
        source = options.pop("source", None) or UpstreamAsset("lake/rentals", **options)
        return Project(deployment, ridge(name, source, **(declared or {})), *assets, lake=Lake(folder=str(tmp_path)))

    return project


def same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


DAILY = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-02-01")


@pytest.mark.parametrize(
    "partitions, keys",
    [
        (DAILY, ["2024-01-02", "2024-01-03"]),
        (dg.StaticPartitionsDefinition(["north", "east"]), ["north", "east"]),
        (
            dg.HourlyPartitionsDefinition("2024-01-01-00:00", end_date="2024-01-02-00:00"),
            ["2024-01-01-01:00", "2024-01-01-02:00"],
        ),
        (
            dg.MultiPartitionsDefinition({"area": dg.StaticPartitionsDefinition(["a", "b"]), "day": DAILY}),
            ["b|2024-01-02", "a|2024-01-03"],
        ),
    ],
    ids=["daily", "static", "hourly", "multi"],
)
def test_partitions_are_batches_in_their_order(partitions: Any, keys: list[str], project_of: Any) -> None:
    rentals = Rentals(project_of, partitions)
    for number in (1, 0):  # the later one first
        rentals.materialize(rows(number), keys[number])
    batches = [safe_key(key) for key in keys]
    assert rentals.project.take_in() == batches
    for number, batch in enumerate(batches):
        same(rentals.project.rows(batch), rows(number))
    assert rentals.project.take_in() == []


def test_a_dynamic_partition_materialised_anew_is_taken_in_anew(project_of: Any, name: str) -> None:
    rentals = Rentals(project_of, dg.DynamicPartitionsDefinition(name=f"{name}_files"))
    rentals.project.instance.add_dynamic_partitions(f"{name}_files", ["z", "a"])
    rentals.materialize(rows(1), "z")
    rentals.materialize(rows(2), "a")
    assert rentals.project.take_in() == ["z", "a"]
    rentals.materialize(rows(3), "z")
    assert rentals.project.take_in() == ["z"]
    same(rentals.project.rows("z"), rows(3))
    rentals.materialize(rows(2), "a")
    assert rentals.project.take_in() == ["a"]
    assert rentals.project.take_in() == []


def test_without_partitions_each_materialisation_is_a_batch_and_a_champion_comes_of_them(
    project_of: Any, deployment: Deployment, name: str
) -> None:
    rentals = Rentals(project_of)
    assert rentals.project.take_in() == []
    rentals.materialize(rows(1))
    (first,) = rentals.project.take_in()
    assert rentals.project.take_in() == []
    rentals.materialize(rows(2))
    (second,) = rentals.project.take_in()
    same(rentals.project.rows(first), rows(1))
    same(rentals.project.rows(second), rows(2))
    trained = rentals.project.train()
    assert trained.success, why(trained)
    champion = deployment.registry.champion(name)
    assert champion is not None and champion.version == 1


def test_a_materialisation_that_was_replaced_before_it_was_read_is_rejected_with_the_reason(project_of: Any) -> None:
    rentals = Rentals(project_of)
    rentals.materialize(rows(1))
    (request,) = rentals.project.tick()
    rentals.materialize(rows(2))
    assert "has been replaced: the asset was materialised anew as" in why(rentals.project.run(request))
    assert rentals.project.became() == {request.partition_key: "rejected"}
    (second,) = rentals.project.take_in()
    same(rentals.project.rows(second), rows(2))
    assert rentals.project.take_in() == []


def test_with_a_period_the_frame_is_divided_and_loaded_only_when_it_was_materialised_anew(
    project_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rentals = Rentals(lambda asset: project_of(asset, period="day"))
    rentals.materialize(pd.concat([rows(1), rows(2)]))
    assert rentals.project.take_in() == ["2024-01-02", "2024-01-03"]
    same(rentals.project.rows("2024-01-03"), rows(2))
    with monkeypatch.context() as patch:
        patch.setattr(Lake, "load_input", lambda *_: pytest.fail("loaded though nothing is new"))
        assert rentals.project.take_in() == []
    rentals.materialize(pd.concat([rows(1), rows(2, noise=5.0), rows(3)]))
    assert rentals.project.take_in() == ["2024-01-03", "2024-01-04"]
    same(rentals.project.rows("2024-01-03"), rows(2, noise=5.0))
    assert rentals.project.take_in() == []


class Arrow:
    """A frame of another library, as polars and pyarrow have them."""

    def to_pandas(self) -> pd.DataFrame:
        return rows(1)


def test_frames_of_other_libraries_are_taken(project_of: Any) -> None:
    rentals = Rentals(project_of)
    rentals.materialize(Arrow())
    (batch,) = rentals.project.take_in()
    same(rentals.project.rows(batch), rows(1))


@pytest.mark.parametrize(
    "value, options, says",
    [
        ([1, 2], {}, "its value is a list; expected a DataFrame of pandas"),
        (rows(1), {"limits": Limits(max_rows=10)}, "has 60 rows; expected at most 10"),
    ],
    ids=["list", "rows"],
)
def test_an_unusable_value_rejects_its_batch(value: Any, options: Any, says: str, project_of: Any) -> None:
    rentals = Rentals(lambda asset: project_of(asset, **options))
    rentals.materialize(value)
    (request,) = rentals.project.tick()
    batch = request.partition_key
    assert f"UpstreamAsset 'lake/rentals': batch {batch!r}: {says}" in why(rentals.project.run(request))
    assert rentals.project.became() == {batch: "rejected"}
    assert rentals.project.tick() == []


def test_an_io_manager_that_fails_rejects_no_batch_and_its_secrets_are_not_told(project_of: Any) -> None:
    rentals = Rentals(project_of)
    rentals.materialize(rows(1))
    (request,) = rentals.project.tick()
    rentals.project.resources["lake"] = Lake(folder=rentals.project.resources["lake"].folder, broken=True)
    rentals.project.place(rentals.asset)
    said = why(rentals.project.run(request))
    assert "its IO manager could not load it (OSError: no answer from s3://***@lake/rentals)" in said
    assert f"batch {request.partition_key!r}" in said
    assert "canary" not in said
    assert rentals.project.became() == {}


def test_labels_may_come_from_an_asset(project_of: Any) -> None:
    source = Frame(lambda: iter([("one", rows(1).drop(columns="y"))]))
    outcomes = UpstreamAsset("lake/rentals")
    rentals = Rentals(lambda asset: project_of(asset, source=source, declared={"outcomes": outcomes}), DAILY)
    rentals.materialize(rows(1)[["id", "y"]].head(40), "2024-01-02")
    assert rentals.project.take_in() == ["one", "2024-01-02"]
    record = rentals.project.ledger.get("one")
    assert record is not None and record.labelled == 40


def test_the_dependency_is_in_the_asset_graph(project_of: Any, name: str) -> None:
    project = Rentals(project_of, DAILY).project
    node = project.repository.asset_graph.get(asset_key(name, "dataset"))
    assert node.parent_keys == {dg.AssetKey(["lake", "rentals"])}
    dg.Definitions.validate_loadable(project.defs)


def test_a_key_that_no_asset_has_is_told_at_the_tick(project_of: Any, capfd: pytest.CaptureFixture[str]) -> None:
    rentals = Rentals(lambda asset: project_of(asset, source=UpstreamAsset("lake/rental")))
    rentals.materialize(rows(1))
    assert rentals.project.tick() == []
    said = capfd.readouterr().err
    assert "UpstreamAsset 'lake/rental': there is no such asset in this code location" in said
    assert "did you mean 'lake/rentals'? (assets: " in said


def test_an_asset_of_another_code_location_is_seen_and_what_is_to_be_done_to_load_it_is_told(
    project_of: Any, name: str
) -> None:
    rentals = Rentals(project_of, DAILY)
    rentals.materialize(rows(1), "2024-01-02")
    rentals.project.place()  # the asset is elsewhere now
    (request,) = rentals.project.tick()
    assert request.partition_key == "2024-01-02"
    assert "dg.AssetSpec('lake/rentals').with_io_manager_key(...)" in why(rentals.project.run(request))
    rentals.project.place(
        dg.AssetSpec(["lake", "rentals"], partitions_def=DAILY).with_io_manager_key("lake"),
    )
    assert rentals.project.run(request).success
    same(rentals.project.rows("2024-01-02"), rows(1))


def test_a_period_of_a_partitioned_asset_is_told(project_of: Any, capfd: pytest.CaptureFixture[str]) -> None:
    rentals = Rentals(lambda asset: project_of(asset, period="day"), DAILY)
    rentals.materialize(rows(1), "2024-01-02")
    assert rentals.project.tick() == []
    assert "is partitioned, and each partition is a batch. Leave out period" in capfd.readouterr().err
