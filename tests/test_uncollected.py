"""Imports pause the garbage collector, and leave it as it was."""

import gc
import subprocess
import sys
import threading

import pytest

from mlops_assets.uncollected import Uncollected


@pytest.fixture(autouse=True)
def collector_as_before():
    was_on = gc.isenabled()
    gc.unfreeze()  # what is set aside may still be freed, and counts would fall
    yield
    gc.unfreeze()
    (gc.enable if was_on else gc.disable)()


def test_collector_is_off_within_and_on_after_imports_within_imports():
    gc.enable()
    uncollected = Uncollected()
    seen = [gc.isenabled()]
    with uncollected:
        with uncollected:
            seen.append(gc.isenabled())
        seen.append(gc.isenabled())
    assert [*seen, gc.isenabled()] == [True, False, False, True]


def test_collector_that_is_off_stays_off():
    gc.disable()
    with Uncollected():
        pass
    assert not gc.isenabled()


def test_collector_is_on_after_an_import_that_fails():
    gc.enable()
    with pytest.raises(ImportError), Uncollected():
        raise ImportError
    assert gc.isenabled()


def test_collector_is_off_until_the_last_of_two_threads_has_imported():
    gc.enable()
    uncollected, inside, leave = Uncollected(), threading.Event(), threading.Event()

    def other():
        with uncollected:
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with uncollected:
        thread.start()
        assert inside.wait(10)
    still_off = not gc.isenabled()
    leave.set()
    thread.join(10)
    assert still_off and gc.isenabled()


def test_pandas_is_imported_without_a_collection_and_set_aside():
    script = (
        "import gc; from mlops_assets.lazy import pd; runs = []; gc.collect()\n"
        "gc.callbacks.append(lambda phase, about: runs.append(about['generation']))\n"
        "pd.DataFrame; during = runs.copy()\n"
        "assert during == [], during; assert gc.get_freeze_count() > 50_000, gc.get_freeze_count()\n"
        "assert gc.isenabled()"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_small_import_sets_nothing_aside():
    gc.enable()
    before = gc.get_freeze_count()
    with Uncollected():
        pass
    assert gc.get_freeze_count() == before


def test_definitions_are_set_aside_however_small():
    gc.enable()
    before = gc.get_freeze_count()
    with Uncollected(many=0):
        made = [[number] for number in range(100)]
    assert gc.isenabled() and gc.get_freeze_count() > before + len(made)
