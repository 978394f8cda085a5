"""No file and no number of files holds up a look: what it does not come to waits, or is left to the next look."""

import gzip
import time

import pandas as pd
import pytest

from mlops_assets.errors import SourceUnavailableError
from mlops_assets.sources import Folder
from mlops_assets.sources.folder import files, look, opening

ROWS = pd.DataFrame({"day": pd.date_range("2024-01-01", periods=50, freq="h"), "x": range(50)})


@pytest.fixture
def folder(tmp_path):
    """Three files whose rows are divided by day."""
    for number in range(3):
        file = tmp_path / f"{number}.csv"
        ROWS.assign(day=ROWS["day"] + pd.Timedelta(days=3 * number)).to_csv(file, index=False)
        file.with_name(f"{number}.csv.done").touch()
    return Folder(f"{tmp_path}/*", period="day", time="day")


class Clock:
    """Time that passes by a second whenever somebody looks."""

    def __init__(self, monkeypatch, module, name):
        self.now = 0.0
        monkeypatch.setattr(module, name, self)

    def monotonic(self):
        self.now += 1.0
        return self.now

    time = staticmethod(time.time)


def test_a_look_that_lasts_leaves_files_to_the_next_which_knows_the_others(folder, monkeypatch):
    opened = []

    def opening_noted(folder, file, seconds):
        opened.append(file.key)
        return opening.open_file(folder, file, seconds)

    monkeypatch.setattr(files, "open_file", opening_noted)
    Clock(monkeypatch, look, "clock")
    monkeypatch.setattr(look, "LOOK_SECONDS", 1.5)
    with pytest.raises(SourceUnavailableError, match=r"1 of 3 files were divided by day in .* The next look goes on"):
        folder.look({})
    assert len(opened) == 1
    monkeypatch.setattr(look, "LOOK_SECONDS", 100)
    assert len(folder.look({}).ready) == 9
    assert len(opened) == len(set(opened)) == 3


@pytest.mark.parametrize("name", ["slow.csv", "slow.csv.gz", "slow.parquet"])
@pytest.mark.parametrize("reads", [0, 1, 2])
def test_a_file_that_takes_too_long_waits_and_holds_up_no_other(name, reads, folder, tmp_path, monkeypatch):
    """After some reads: while it is scanned, and while it is parsed."""
    late = ROWS.assign(day=ROWS["day"] + pd.Timedelta(days=90))
    if name.endswith(".parquet"):
        late.to_parquet(tmp_path / name)
    else:
        text = late.to_csv(index=False).encode()
        (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    (tmp_path / f"{name}.done").touch()
    Clock(monkeypatch, opening, "time")
    monkeypatch.setattr(look, "FILE_SECONDS", 20)

    def hurried(folder, file, seconds):
        return opening.open_file(folder, file, reads + 0.5 if "slow" in file.path and seconds == 20 else seconds)

    monkeypatch.setattr(files, "open_file", hurried)
    found = folder.look({})
    assert len(found.ready) == 9 and not any(key.startswith("2024-03-31") for key in found.ready)
    (waiting,) = found.waiting
    assert waiting.name == name and "to be divided. Split the file" in waiting.reason
    assert len(folder.read("2024-01-01")) == 24  # a run reads without a deadline
