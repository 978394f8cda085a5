"""The batch job as Metaflow's users write it: `batch.py run --key batch-10`."""

import os
from pathlib import Path

import bare_batch
from metaflow import FlowSpec, Parameter, step

HOME, NAME = Path(os.environ["OVERHEAD_HOME"]), "metaflow"


class Batch(FlowSpec):
    """Validate a batch, score it and measure drift."""

    key = Parameter("key", required=True)

    @step
    def start(self):
        self.frame = bare_batch.read(HOME, self.key)
        self.next(self.validate)

    @step
    def validate(self):
        bare_batch.validate(self.frame, HOME)
        self.next(self.score)

    @step
    def score(self):
        self.predictions = bare_batch.score(self.frame, HOME, NAME, self.key)
        self.next(self.end)

    @step
    def end(self):
        bare_batch.report(self.frame, self.predictions, HOME, NAME, self.key)


if __name__ == "__main__":
    Batch()
