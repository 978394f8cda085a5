"""An estimator that notes each of its fits in a file, so that a test can count them in whichever process they were."""

import os
import signal
import time
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from threadpoolctl import threadpool_info


class NotedFits(RegressorMixin, BaseEstimator):
    """Predicts `value`, after `seconds`; a `deadly` value ends its process."""

    def __init__(self, value: float = 0.0, seconds: float = 0.0, notes: str = "", deadly: float = -1.0):
        self.value = value
        self.seconds = seconds
        self.notes = notes
        self.deadly = deadly

    def fit(self, X, y):
        threads = max((library["num_threads"] for library in threadpool_info()), default=1)
        with open(self.notes, "a") as file:
            file.write(f"{self.value} {os.getpid()} {threads}\n")
        if self.value == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.seconds)
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.full(len(X), self.value)


def noted(notes: Path) -> list[tuple[float, int, int]]:
    """The value, the process and the threads of each fit."""
    lines = notes.read_text().splitlines() if notes.exists() else []
    return [(float(value), int(process), int(threads)) for value, process, threads in map(str.split, lines)]


def echo(seconds: float, task: float) -> float:
    """Return a task after some seconds."""
    time.sleep(seconds)
    return task
