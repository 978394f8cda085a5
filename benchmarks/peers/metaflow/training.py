"""The training job as Metaflow's users write it, steps of a flow: `training.py run --trial 1`."""

import os
from pathlib import Path

import bare_training
from metaflow import FlowSpec, Parameter, step

HOME, NAME = Path(os.environ["OVERHEAD_HOME"]), "metaflow"


class Training(FlowSpec):
    """Fit, evaluate, register and judge a model."""

    trial = Parameter("trial", type=int, required=True)

    @step
    def start(self):
        self.data = bare_training.rows(HOME)
        self.next(self.fit)

    @step
    def fit(self):
        self.model = bare_training.fit(self.data, HOME, self.trial)
        self.next(self.evaluate)

    @step
    def evaluate(self):
        self.judged = bare_training.evaluate(self.model, self.data)
        self.next(self.register)

    @step
    def register(self):
        client = bare_training.store(HOME, NAME)
        self.registered = bare_training.register(client, HOME, NAME, self.model, self.data[0], self.judged["figures"])
        self.next(self.end)

    @step
    def end(self):
        client = bare_training.store(HOME, NAME)
        run_id, version = self.registered
        bare_training.judge(client, NAME, run_id, version, self.data, self.judged)
        client.set_terminated(run_id)


if __name__ == "__main__":
    Training()
