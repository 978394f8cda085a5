"""Records are counted as the parser will see them: quotes open fields only where these begin."""

import pytest

from mlops_assets.errors import SourceError
from mlops_assets.sources.folder.csv_records import LONGEST, RecordCounter

TEXT = 'a,b\n1,5" pipe\n2,"two\nlines ""quoted"""\n3,"x"\n'


@pytest.mark.parametrize("size", [1, 2, 3, 5, len(TEXT)])
def test_parts_of_any_size_give_the_same_count(size):
    counter = RecordCounter(",")
    for start in range(0, len(TEXT), size):
        counter.take(TEXT[start : start + size])
    assert counter.ended == 4


def test_a_stray_quote_does_not_join_the_rows_that_follow():
    counter = RecordCounter(";")
    counter.take('a;b\n1;5" pipe\n')
    for _ in range(3):
        counter.take("2;x\n" * (LONGEST // 8))
    assert counter.ended == 2 + 3 * (LONGEST // 8)


def test_lines_that_end_in_carriage_returns_are_no_long_row():
    counter = RecordCounter(",")
    for _ in range(3):
        counter.take("2,x\r" * (LONGEST // 8))


@pytest.mark.parametrize("text", ["y" * LONGEST, '"' + "y\n" * (LONGEST // 2), '"y""' * (LONGEST // 4)])
def test_a_record_beyond_the_limit_is_refused_in_whatever_parts_it_comes(text):
    counter = RecordCounter(",")
    counter.take("a,b\n")
    with pytest.raises(SourceError, match="of more than 1 MB after line 1"):
        for start in range(0, len(text) + 10, 100_000):
            counter.take((text + "y" * 10)[start : start + 100_000])
