"""An estimator that notes which process scored how many rows, and ends that process where a test asks for it."""

import os
import signal
from pathlib import Path

from sklearn.linear_model import Ridge


class NotedScores(Ridge):
    """Predicts as `Ridge`. A file `kill` in the folder `notes` ends the next process, other than `run`, that scores."""

    def __init__(self, notes: str = "", run: int = 0, alpha: float = 1.0):
        super().__init__(alpha=alpha)
        self.notes = notes
        self.run = run

    def predict(self, X):
        if os.getpid() != self.run and _taken(Path(self.notes, "kill")):
            os.kill(os.getpid(), signal.SIGKILL)
        with Path(self.notes, "notes").open("a") as file:
            file.write(f"{os.getpid()} {len(X)}\n")
        return super().predict(X)


def _taken(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def noted_scores(notes: Path) -> list[tuple[int, int]]:
    """The process and the number of rows of each call."""
    lines = (notes / "notes").read_text().splitlines() if (notes / "notes").exists() else []
    return [(int(process), int(rows)) for process, rows in map(str.split, lines)]
