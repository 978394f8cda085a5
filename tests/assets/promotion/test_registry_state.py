"""What is said of a registry that differs from the promotions on record, and what a person can do about it."""

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest

from mlops_assets.assets.promotion.registry_state import RegistryState, registry_state
from mlops_assets.errors import ArtifactError, MisplacedArtifactError, MissingArtifactError
from mlops_assets.records.promotions import Promotion
from mlops_assets.resources.mlflow.model_version import ModelVersion

ONE, TWO = (ModelVersion(model="tides", version=number, digest=f"{number}" * 64, run_id="run") for number in (1, 2))
OTHER_TWO = replace(TWO, digest="f" * 64)


def promotion(version: ModelVersion, number: int = 1) -> Promotion:
    return Promotion(
        number=number,
        how="evidence",
        by="mlops_assets",
        reason="better",
        dagster_run_id="r",
        intended="2024-05-01T10:00:00+00:00",
        version=version.version,
        digest=version.digest,
        run_id=version.run_id,
        source="",
        done="2024-05-01T10:00:01+00:00",
    )


@dataclass
class Registry:
    """A registry with an alias, versions, and what is wrong with the champion's files."""

    alias: ModelVersion | None
    held: tuple[ModelVersion, ...] = (ONE, TWO)
    fault: Exception | None = None

    def champion(self, model: str) -> ModelVersion | None:
        assert model == "tides"
        return self.alias

    def versions(self, model: str) -> list[ModelVersion]:
        assert model == "tides"
        return list(self.held)

    def verify(self, version: ModelVersion) -> None:
        assert version.version == 2
        if self.fault is not None:
            raise self.fault


def state_of(registry: Any, champion: Promotion | None, under_way: Promotion | None = None) -> RegistryState:
    ledger = SimpleNamespace(champion=lambda: champion, under_way=lambda: under_way)
    return registry_state(SimpleNamespace(name="tides", promotions=ledger), registry)  # type: ignore[arg-type]


CHAMPION = promotion(TWO)


def test_the_champion_on_record_is_sound_and_nothing_is_to_do():
    state = state_of(Registry(TWO), CHAMPION)
    assert (state.state, state.what_to_do, state.news) == ("sound", "", True)
    assert state.reason == "the alias names version 2, which was decided on; its artifact is unchanged"
    outcome = state.outcome()
    assert (outcome.name, outcome.passed, outcome.message, outcome.blocking) == (
        "registry_intact",
        True,
        state.reason,
        False,
    )
    assert outcome.metadata == {
        "state": "sound",
        "alias": "version 2",
        "recorded_champion": 2,
        "recorded_digest": "2" * 16,
        "what_to_do": None,
    }


def test_a_model_without_champion_is_no_news():
    state = state_of(Registry(None), None)
    assert (state.state, state.reason, state.news) == ("sound", "there is no champion yet", False)
    assert state.outcome().metadata["alias"] == "none" and state.outcome().metadata["recorded_champion"] is None


def test_the_version_of_a_promotion_under_way_may_have_the_alias_already():
    begun = replace(promotion(ONE, 2), done="")
    state = state_of(Registry(ONE), CHAMPION, under_way=begun)
    assert state.state == "sound"
    assert state.reason == "the alias names version 1, whose promotion is under way; its artifact is unchanged"


@pytest.mark.fault(46, 48)
@pytest.mark.parametrize(
    ("registry", "champion", "state", "reason", "to_do"),
    [
        (
            Registry(ONE),
            CHAMPION,
            "moved by hand",
            "the alias names version 1 (sha256 111111111111..), but the champion that was decided on is version 2 "
            "(sha256 222222222222..); batches go on being scored by version 2, by its digest",
            "launch the job tides_rollback with version 2 to put the alias back, or tides/champion with action promote "
            "and version 1 to make that one champion",
        ),
        (
            Registry(OTHER_TWO),
            CHAMPION,
            "moved by hand",
            "the alias names version 2 (sha256 ffffffffffff..), but the champion that was decided on is version 2 "
            "(sha256 222222222222..); batches go on being scored by version 2, by its digest",
            "launch the job tides_rollback with version 2 to put the alias back, or tides/champion with action promote "
            "and version 2 to make that one champion",
        ),
        (
            Registry(ONE),
            None,
            "moved by hand",
            "the alias names version 1, which was not decided on",
            "launch the job tides_rollback to put the alias back, or tides/champion with action promote and version 1 "
            "to make that one champion",
        ),
        (
            Registry(None),
            CHAMPION,
            "alias lost",
            "no version has the alias champion; the champion that was decided on is version 2 (sha256 222222222222..); "
            "batches go on being scored by version 2, by its digest",
            "launch the job tides_rollback with version 2 to set the alias again",
        ),
        (
            Registry(None, (ONE, OTHER_TWO)),
            CHAMPION,
            "version deleted",
            "the champion that was decided on is version 2 (sha256 222222222222..), and it is no longer in the "
            "registry; batches go on being scored by version 2, by its digest",
            "launch the job tides_rollback to go back to the champion before it, or train anew and promote that "
            "version",
        ),
    ],
)
def test_a_fault_of_the_alias_says_what_is_named_what_was_decided_and_what_to_do(
    registry, champion, state, reason, to_do
):
    found = state_of(registry, champion)
    assert (found.state, found.reason, found.what_to_do) == (state, reason, to_do)
    outcome = found.outcome()
    assert not outcome.passed and outcome.message == f"{state}: {reason}. To do: {to_do}"
    assert outcome.metadata["what_to_do"] == to_do and found.news


@pytest.mark.parametrize(
    ("fault", "state", "to_do"),
    [
        (MisplacedArtifactError("it was moved"), "artifacts elsewhere", "run `mlops-assets rehome`"),
        (
            MissingArtifactError("it is gone"),
            "artifact missing",
            "restore the files of the artifact, or launch the job",
        ),
        (ArtifactError("it differs"), "artifact changed", "restore the files of the artifact, or launch the job"),
    ],
)
def test_a_fault_of_the_artifact_goes_before_one_of_the_alias(fault, state, to_do):
    found = state_of(Registry(TWO, fault=fault), CHAMPION)
    assert (found.state, found.reason) == (state, str(fault))
    assert found.what_to_do.startswith(to_do)
    both = state_of(Registry(ONE, fault=fault), CHAMPION)
    assert both.state == state
    assert both.reason.startswith(f"{fault}; and moved by hand: the alias names version 1 (sha256")


def test_the_digest_changes_with_what_is_told_and_with_nothing_else():
    sound = state_of(Registry(TWO), CHAMPION)
    assert len(sound.digest) == 16
    assert replace(sound, reason="in other words").digest == sound.digest
    lost = state_of(Registry(None), CHAMPION)
    others = [
        lost,
        replace(lost, reason="another one"),
        replace(sound, alias=OTHER_TWO),
        replace(sound, alias=None),
        replace(sound, record=promotion(TWO, 2)),
        replace(sound, record=None),
    ]
    assert len({each.digest for each in [sound, *others]}) == 7
