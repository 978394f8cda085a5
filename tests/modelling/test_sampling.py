"""Which rows of a training set are drawn: by batch and class, by seed and content, a floor for rare classes."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mlops_assets.modelling.manifest import BatchInfo, Manifest, Sample
from mlops_assets.modelling.sampling import allocation, draw, shares

SAMPLE = Sample(share=0.1, seed=3, role="train", memory_mb=1.0)


def batches(labels: dict[str, pd.Series], sample: Sample = SAMPLE) -> list[BatchInfo]:
    return [
        BatchInfo(key=key, version=f"rows{key}-f", rows=len(y), labelled=int(y.notna().sum()), sample=sample)
        for key, y in labels.items()
    ]


def drawn(labels: dict[str, pd.Series], sample: Sample = SAMPLE, problem: str | None = None):
    (one,) = draw(batches(labels, sample), lambda batch: labels[batch.key], problem)
    return one


def classes(seed: int, count: int, rare: int = 0, gaps: float = 0.0) -> pd.Series:
    """Half "no", half "yes", then `rare` rows of "fraud", shuffled; some labels are missing."""
    random = np.random.default_rng(seed)
    y = pd.Series(np.where(np.arange(count) % 2, "yes", "no"), dtype=object)
    y.iloc[:rare] = "fraud"
    y = y.sample(frac=1, random_state=seed).reset_index(drop=True)
    return y.mask(random.random(count) < gaps)


def test_each_batch_and_class_gives_its_share_to_within_one_row():
    labels = {f"b{number}": classes(number, 997 + 100 * number, rare=150, gaps=0.2) for number in range(7)}
    one = drawn(labels)
    for key, y in labels.items():
        taken = y.iloc[one.positions[key]]
        assert taken.notna().all() and taken.index.is_monotonic_increasing and taken.index.is_unique
        for value, count in y.value_counts().items():
            assert abs((taken == value).sum() - 0.1 * count) < 1
    total = pd.concat(labels.values()).value_counts()
    assert {kind.value: kind.rows for kind in one.classes} == total.to_dict()
    assert {kind.value: kind.taken for kind in one.classes} == (total * 0.1).round().astype(int).to_dict()
    assert one.taken == sum(kind.taken for kind in one.classes) and one.rows == total.sum()


def test_many_small_batches_keep_a_class_that_no_batch_alone_would_keep():
    labels = {f"b{number}": classes(number, 200, rare=2) for number in range(500)}  # 0.2 rows of fraud a batch
    fraud = {kind.value: kind for kind in drawn(labels, replace(SAMPLE, role="holdout")).classes}["fraud"]
    assert (fraud.rows, fraud.taken) == (1_000, 100)


def test_a_rare_class_keeps_its_floor_in_training_rows_and_its_share_in_the_holdout():
    labels = {f"b{number}": classes(number, 5_000, rare=60) for number in range(4)}
    for role, taken in (("train", 66), ("holdout", 24)):  # a tenth of 2,000 rows, for three classes: 66 each
        one = drawn(labels, replace(SAMPLE, role=role))
        assert {kind.value: kind.taken for kind in one.classes}["fraud"] == taken
        assert ("class 'fraud' keeps 66 of its 240 rows, more than its share of" in one.text) == (role == "train")
    few = {"b0": classes(0, 5_000, rare=3)}
    assert {kind.value: kind.taken for kind in drawn(few).classes}["fraud"] == 3
    lost = drawn(few, replace(SAMPLE, role="holdout"))
    assert "class 'fraud' with 3 rows is not in it" in lost.text


def test_the_same_rows_whatever_else_is_read_and_in_which_order():
    labels = {f"b{number}": classes(number, 1_000) for number in range(3)}
    one = drawn(labels)
    again = drawn(dict(reversed(labels.items())))
    assert all(np.array_equal(one.positions[key], again.positions[key]) for key in labels)
    other_seed = drawn(labels, replace(SAMPLE, seed=4))
    assert not any(np.array_equal(one.positions[key], other_seed.positions[key]) for key in labels)
    larger = drawn(labels, replace(SAMPLE, share=0.3))
    assert all(set(one.positions[key]) < set(larger.positions[key]) for key in labels)


def test_a_measured_target_is_drawn_by_batch_alone():
    random = np.random.default_rng(0)
    labels = {f"b{number}": pd.Series(random.normal(size=1_001)) for number in range(3)}
    one = drawn(labels)
    assert one.classes == () and [len(positions) for positions in one.positions.values()] == [100, 100, 100]
    assert one.text == (
        "a sample by batch of 300 of 3,003 labelled rows, seed 3: training and holdout rows exceed limits.memory_mb=1"
    )
    counts = {"b0": pd.Series(np.arange(1_000) % 30), "b1": pd.Series(np.arange(1_000) % 3)}
    assert drawn(counts).classes == ()
    assert len(drawn(counts, problem="classification").classes) == 30
    assert drawn({"b0": pd.Series(np.arange(1_000) % 3)}, problem="regression").classes == ()


def test_classes_that_only_many_batches_show_to_be_measured():
    labels = {f"b{number}": pd.Series(np.repeat(np.arange(5) + 5 * number, 40)) for number in range(5)}
    one = drawn(labels)
    assert one.classes == () and one.taken == 100


@pytest.mark.parametrize("kind", ["bool", "object with gaps", "Int64", "int64 and float64"])
def test_labels_of_any_type(kind):
    y = pd.Series(np.arange(400) % 4 == 0)
    labels = {
        "bool": {"a": y, "b": y},
        "object with gaps": {"a": y.astype(object).where(y.index > 40, None), "b": y.astype(object)},
        "Int64": {"a": y.astype("Int64"), "b": y.astype("Int64").mask(y.index < 40)},
        "int64 and float64": {"a": y.astype(int), "b": y.astype(float).mask(y.index < 40)},
    }[kind]
    one = drawn(labels)
    assert sorted(kind.value for kind in one.classes) == [False, True]
    for key, values in labels.items():
        taken = values.iloc[one.positions[key]]
        assert taken.notna().all() and abs(taken.astype(bool).sum() - values.eq(True).sum() * 0.1) < 1


@pytest.mark.parametrize("share", [0.0, 1e-6, 0.5, 1 / 3, 1.0])
def test_allocation_gives_what_there_is(share):
    counts = np.random.default_rng(1).integers(0, 50, (200, 6))
    taken = allocation(counts, share)
    assert (taken >= 0).all() and (taken <= counts).all()
    assert np.abs(taken - counts * share).max() <= 1
    assert np.abs(taken.sum(axis=0) - counts.sum(axis=0) * share).max() <= 0.5


def test_the_holdout_is_whole_while_it_is_small():
    assert shares(800, 200, 1_000) == (1.0, 1.0)
    assert shares(9_900, 100, 1_000) == (0.0909091, 1.0)
    assert shares(8_000, 2_000, 1_000) == (0.1, 0.1)
    assert shares(9_500, 500, 1_000) == (0.0842105, 0.4)
    assert shares(100, 9_900, 1_000) == (0.1, 0.1)


def test_a_manifest_keeps_its_samples_and_has_another_version_by_them():
    labels = {"a": classes(0, 10), "b": classes(1, 10)}
    plain, sampled = (
        Manifest(tuple(replace(batch, sample=sample) for batch in batches(labels)), ()) for sample in (None, SAMPLE)
    )
    assert Manifest.from_dict(sampled.to_dict()) == sampled and Manifest.from_dict(plain.to_dict()) == plain
    assert len({plain.version, sampled.version, replace_share(sampled, 0.2).version}) == 3
    assert "sample" not in plain.to_dict()["train"][0]  # versions of earlier releases stay


def replace_share(manifest: Manifest, share: float) -> Manifest:
    sample = replace(SAMPLE, share=share)
    return replace(manifest, train=tuple(replace(batch, sample=sample) for batch in manifest.train))
