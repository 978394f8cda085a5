import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_assets.errors import DeclarationError, TrainingError
from mlops_assets.modelling.manifest import BatchInfo
from mlops_assets.modelling.splits import split_in_time, time_folds


def month(number: int, labelled: int = 10, overlap: str = "0D") -> BatchInfo:
    start = pd.Timestamp("2020-01-01") + pd.DateOffset(months=number)
    end = start + pd.offsets.MonthEnd() + pd.Timedelta(overlap)
    return BatchInfo(key=f"m{number}", version="v", rows=10, labelled=labelled, start=start, end=end)


def untimed(*numbers: int) -> list[BatchInfo]:
    return [BatchInfo(key=f"batch-{number}", version="v", rows=10, labelled=10) for number in numbers]


def keys(batches: tuple[BatchInfo, ...]) -> list[str]:
    return [batch.key for batch in batches]


MONTHS = [month(number) for number in range(12)]


@pytest.mark.parametrize(
    ("holdout", "expected"),
    [(1, ["m11"]), (3, ["m9", "m10", "m11"]), (0.2, ["m9", "m10", "m11"]), (0.25, ["m9", "m10", "m11"]),
     (0.01, ["m11"]), ("45D", ["m11"]), ("65D", ["m10", "m11"]), ("1D", ["m11"])],
)  # fmt: skip
def test_holdout_is_the_newest_by_number_share_or_time(holdout, expected):
    split = split_in_time(MONTHS[::-1], holdout)
    assert keys(split.holdout) == expected
    assert keys(split.train) == [f"m{number}" for number in range(12 - len(expected))]
    assert split.left_out == ()


@pytest.mark.parametrize("holdout", [50, 0.99, "9999D"])
def test_holdout_never_takes_all(holdout):
    assert keys(split_in_time(MONTHS, holdout).train) == ["m0"]


def test_window_by_number_and_by_time_names_what_it_leaves_out():
    by_number = split_in_time(MONTHS, 2, window=3)
    assert keys(by_number.train) == ["m7", "m8", "m9"]
    assert by_number.left_out == tuple((f"m{number}", "older than the window") for number in range(7))
    by_time = split_in_time(MONTHS, 2, window="60D")
    assert keys(by_time.train) == ["m8", "m9"]


def test_without_times_keys_are_in_natural_order():
    split = split_in_time(untimed(10, 2, 1), 1)
    assert (keys(split.train), keys(split.holdout)) == (["batch-1", "batch-2"], ["batch-10"])


def test_unlabelled_batches_wait():
    split = split_in_time([*MONTHS[:3], month(3, labelled=0)], 1)
    assert keys(split.holdout) == ["m2"]
    assert split.left_out == (("m3", "no labelled rows"),)


def test_what_the_champion_was_trained_on_is_never_judged_on():
    split = split_in_time(MONTHS, 4, after=["m8", "m9", "gone"])
    assert (keys(split.train)[-1], keys(split.holdout)) == ("m9", ["m10", "m11"])
    with pytest.raises(
        TrainingError, match=r"no labelled batch is later than what the champion was trained on .*'m11'"
    ):
        split_in_time(MONTHS, 1, after=["m11"])


@pytest.mark.parametrize(
    ("batches", "known", "expected"),
    [
        (2, 0, ["m1"]),
        (3, 2, ["m2"]),  # one new batch: what the champion was judged on is learnt instead
        (5, 2, ["m4"]),
        (6, 2, ["m4", "m5"]),
        (6, 6, ["m3", "m4", "m5"]),  # nothing is new: as it was for the champion
    ],
)
def test_the_holdout_of_default_leaves_half_of_what_is_new_to_be_learnt(batches, known, expected):
    shrinking = [month(number, rows) for number, rows in enumerate([4000, 4000, 1500, 300, 300, 300])][:batches]
    split = split_in_time(shrinking, None, after=["m0"] if known else [], known=[f"m{each}" for each in range(known)])
    assert keys(split.holdout) == expected
    assert keys(split.train) == [f"m{number}" for number in range(batches - len(expected))]


def test_the_holdout_of_default_is_at_most_a_fifth_of_the_rows_where_the_champion_is_old():
    split = split_in_time(MONTHS, None, after=["m0"], known=["m0", "m1"])
    assert keys(split.holdout) == ["m10", "m11"]


@pytest.mark.parametrize(
    ("rows", "held_out"),
    [
        ([37, 1800], ["m1"]),  # there is no other way
        ([37, 1800, 260], ["m2"]),  # a fifth in whole batches is 98% of the rows, which leaves 37 to learn
        ([37, 1800, 260, 2400, 90], ["m3", "m4"]),
        ([37, 18_000, 5], ["m1", "m2"]),  # five rows show nothing
    ],
)
def test_an_odd_first_file_is_not_all_there_is_to_learn(rows, held_out):
    assert keys(split_in_time([month(number, each) for number, each in enumerate(rows)]).holdout) == held_out


@pytest.mark.parametrize(
    ("window", "held_out"), [(6, 1), ("185D", 1), (9, 2), (2, 1), ("65D", 1), (100, 12), (None, 12)]
)
@pytest.mark.parametrize("known", [0, 10])
def test_the_holdout_of_default_is_a_fifth_of_what_a_window_reaches_however_history_grew(window, held_out, known):
    """A fifth of five years would be twice as long as six months to learn from, and these would be a year old."""
    years = [month(number) for number in range(60)]
    split = split_in_time(years, None, window, known=[batch.key for batch in years[:known]])
    assert len(split.holdout) == held_out
    assert split.train[-1].key == f"m{59 - held_out}"


@given(st.lists(st.integers(1, 9_000), min_size=3, max_size=40), st.sampled_from([None, 1, 2, 6, 20]))
def test_the_holdout_of_default_is_as_many_batches_as_a_fifth_holds_and_at_least_a_twentieth(sizes, window):
    def share(held):
        learnt = sizes[:-held] if window is None else sizes[:-held][-window:]
        return sum(sizes[-held:]) / sum([*learnt, *sizes[-held:]])

    held = len(split_in_time([month(number, rows) for number, rows in enumerate(sizes)], None, window).holdout)
    if held < len(sizes) - 1:
        assert share(held) >= 0.05
        assert share(held) > 0.2 or share(held + 1) > 0.2
    if share(held) > 0.2 and held > 1:  # the batches behind are too small to show anything
        assert share(held - 1) < 0.05


@given(st.lists(st.integers(1, 9_000), min_size=4, max_size=40), st.integers(1, 39))
def test_of_two_new_batches_one_is_learnt_however_history_grew(sizes, known):
    batches = [month(number, rows) for number, rows in enumerate(sizes)]
    known = min(known, len(sizes) - 2)
    seen = [batch.key for batch in batches[:known]]
    split = split_in_time(batches, None, after=seen[:-1], known=seen)
    assert batches[known] in split.train


@pytest.mark.parametrize("holdout", [None, 1, 3, 0.2, "65D"])
@given(
    sizes=st.lists(st.integers(1, 9_000), min_size=3, max_size=30),
    learnt=st.integers(2, 29),
    window=st.sampled_from([None, 1, 4]),
)
def test_after_a_refit_which_learnt_its_holdout_only_new_batches_judge(holdout, sizes, learnt, window):
    batches = [month(number, rows) for number, rows in enumerate(sizes)]
    seen = [batch.key for batch in batches[:learnt]]
    if len(seen) == len(batches):
        with pytest.raises(TrainingError, match="no labelled batch is later than what the champion was trained on"):
            split_in_time(batches, holdout, window, after=seen, known=seen)
        return
    split = split_in_time(batches, holdout, window, after=seen, known=seen)
    assert keys(split.holdout)[-1] == batches[-1].key
    assert not set(keys(split.holdout)) & {*seen, *keys(split.train)}
    if holdout is None and len(batches) - len(seen) > 1:
        assert batches[learnt] not in split.holdout  # of two new ones one is learnt


def test_batches_that_overlap_in_time_are_kept_apart():
    late = month(9, overlap="3D")
    split = split_in_time([*MONTHS[:9], late, *MONTHS[10:]], 2)
    assert keys(split.train)[-1] == "m8"
    assert split.left_out == (("m9", "overlaps the holdout in time"),)
    split = split_in_time([*MONTHS[:9], late, *MONTHS[10:]], 2, after=["m9"])
    assert keys(split.holdout) == ["m11"]
    assert ("m10", "overlaps in time what the champion was trained on") in split.left_out


@given(
    st.lists(st.integers(0, 3), min_size=2, max_size=15),
    st.one_of(st.none(), st.integers(1, 20), st.floats(0.01, 0.99), st.sampled_from(["10D", "90D"])),
    st.one_of(st.none(), st.integers(1, 20), st.sampled_from(["40D", "400D"])),
    st.sets(st.integers(0, 15)),
)
def test_the_holdout_is_always_later_and_no_batch_is_lost(labelled, holdout, window, used):
    batches = [month(number, rows) for number, rows in enumerate(labelled)]
    try:
        split = split_in_time(batches, holdout, window, [f"m{number}" for number in used])
    except TrainingError:
        return
    assert split.train and split.holdout
    assert max(batch.end for batch in split.train) <= min(batch.start for batch in split.holdout)
    assert not {f"m{number}" for number in used} & set(keys(split.holdout))
    everywhere = [*keys(split.train), *keys(split.holdout), *(key for key, _ in split.left_out)]
    assert sorted(everywhere) == sorted(batch.key for batch in batches)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([MONTHS[0], month(1, 0)], 1), TrainingError, r"1 labelled .* \(got 'm0'; 1 without labels\); expected .* 2"),
        (([], 1), TrainingError, "got none"),
        ((MONTHS, 0), DeclarationError, "holdout 0: expected at least 1"),
        ((MONTHS, 1.5), DeclarationError, "between 0 and 1"),
        ((MONTHS, "a while"), DeclarationError, "'a while' is not a length of time"),
        ((MONTHS, 1, 0), DeclarationError, "window 0"),
        ((untimed(1, 2, 3), 1, "30D"), DeclarationError, "'30D' is a length of time, but 3 of 3 batches have no"),
        ((MONTHS[::6], 1, "30D"), TrainingError, "no batch is left to train on .* starts with 'm6'"),
    ],
)  # fmt: skip
def test_says_what_is_wrong(arguments, error, message):
    with pytest.raises(error, match=message):
        split_in_time(*arguments)


def test_batch_info_survives_json():
    for batch in (month(1), *untimed(1)):
        assert BatchInfo.from_dict(batch.to_dict()) == batch
    assert month(1).to_dict()["start"] == "2020-02-01T00:00:00"


def test_folds_expand_and_are_cut_between_batches():
    batch_of_row = np.repeat([0, 1, 2, 5], [4, 3, 2, 1])
    folds = [(train.tolist(), test.tolist()) for train, test in time_folds(batch_of_row, 3)]
    assert folds == [
        ([0, 1, 2, 3], [4, 5, 6]),
        ([0, 1, 2, 3, 4, 5, 6], [7, 8]),
        ([0, 1, 2, 3, 4, 5, 6, 7, 8], [9]),
    ]


def test_folds_are_cut_between_rows_when_batches_are_few():
    folds = [(train.tolist(), test.tolist()) for train, test in time_folds(np.zeros(6), 2)]
    assert folds == [([0, 1], [2, 3]), ([0, 1, 2, 3], [4, 5])]


def test_folds_refuse_too_few_rows_and_disorder():
    with pytest.raises(TrainingError, match="5 folds over 3 rows"):
        time_folds(np.arange(3), 5)
    with pytest.raises(TrainingError, match="not in order of time"):
        time_folds(np.array([1, 0, 2]), 2)
