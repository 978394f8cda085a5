"""Reads run at the same time, their results keep their order, and no more are under way than allowed."""

import threading

import pytest

from mlops_assets.records.reads_ahead import AT_ONCE, reads_in_order


def test_as_many_reads_are_under_way_as_allowed_and_no_more():
    together, lock, most = threading.Barrier(AT_ONCE, timeout=30), threading.Lock(), [0, 0]

    def read(item):
        with lock:
            most[0] += 1
            most[1] = max(most)
        if item < AT_ONCE:
            together.wait()  # is passed only if all of the first round are under way at once
        with lock:
            most[0] -= 1
        return item * item

    assert list(reads_in_order(read, range(20))) == [item * item for item in range(20)]
    assert most == [0, AT_ONCE]


def test_one_at_a_time_reads_in_this_thread_as_results_are_taken():
    read = []
    results = reads_in_order(lambda item: read.append((item, threading.current_thread())) or item, range(3), at_once=1)
    assert next(results) == 0
    assert read == [(0, threading.current_thread())]


def test_the_first_failure_in_order_is_raised():
    def read(item):
        if item > 2:
            raise ValueError(f"item {item}")
        return item

    results = reads_in_order(read, range(10))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="item 3"):
        next(results)
