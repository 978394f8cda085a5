"""The trials of a search, logged to MLflow as they end."""

from mlops_assets.assets.training.step import Step
from mlops_assets.errors import RegistryError
from mlops_assets.modelling.fitting.trials import Trial


class TrackedTrials:
    """Logs each trial as a nested run when it ends; once MLflow does not answer, the others wait for `log_waiting`."""

    def __init__(self, step: Step, run_id: str) -> None:
        self._step, self._run_id = step, run_id
        self._waiting: list[Trial] = []
        self._answers = True

    def add(self, trial: Trial) -> None:
        """Log a trial that has ended, for Dagster and for MLflow."""
        why = f"failed: {trial.error}" if trial.error else f"score {trial.score:.5g}"
        self._step.context.log.info(f"trial {trial.number}: {why} in {trial.seconds:.1f} s with {trial.params}")
        self._waiting.append(trial)
        if self._answers:
            try:
                self.log_waiting()
            except RegistryError as error:  # an outage of MLflow does not cost the fits that were made
                self._answers = False
                self._step.context.log.warning(f"trials are logged to MLflow when the search has ended: {error}")

    def log_waiting(self) -> None:
        """Log the trials that MLflow does not have yet."""
        while self._waiting:
            self._step.registry.log_trials(self._run_id, self._waiting[:1])
            del self._waiting[0]
