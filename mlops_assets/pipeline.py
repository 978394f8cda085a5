"""`ModelPipeline`: one declaration of a model gives its whole production loop as Dagster definitions."""

from typing import Any

import dagster as dg

from mlops_assets.assets.challengers import challenger_asset
from mlops_assets.assets.champions import champion_asset
from mlops_assets.assets.datasets import dataset_asset
from mlops_assets.assets.drift_reports import drift_asset
from mlops_assets.assets.evaluations import evaluation_asset
from mlops_assets.assets.features import features_asset
from mlops_assets.assets.jobs import jobs_for_people
from mlops_assets.assets.keys import BATCH_ASSETS, KIND, MODEL, TRAINING_ASSETS, asset_key, declare
from mlops_assets.assets.model_cards import model_card_asset
from mlops_assets.assets.outcomes import outcomes_asset
from mlops_assets.assets.performance_reports import performance_asset
from mlops_assets.assets.policy_backtests import backtest_job, policy_backtest_asset
from mlops_assets.assets.predictions import predictions_asset
from mlops_assets.assets.training_sets import training_set_asset
from mlops_assets.declaration import Declaration


class ModelPipeline(Declaration):
    """A model, declared once; `build_defs` gives its assets, checks and jobs.

    Raises `DeclarationError` naming the field that is missing, misspelt or wrong. What needs scikit-learn or
    Great Expectations is named here and resolved inside the steps, so that declaring costs no import.
    """

    def build_defs(self) -> dg.Definitions:
        """All assets and checks of the model and its jobs; what they do is in their descriptions."""
        declare(self)
        assets = [
            dataset_asset(self),
            features_asset(self),
            training_set_asset(self),
            challenger_asset(self),
            evaluation_asset(self),
            champion_asset(self),
            predictions_asset(self),
            drift_asset(self),
            performance_asset(self),
            model_card_asset(self),
            policy_backtest_asset(self),
        ]
        jobs = [self._job("batch", BATCH_ASSETS), self._job("training", TRAINING_ASSETS), backtest_job(self)]
        if self.outcomes is not None:
            assets.append(outcomes_asset(self))
            jobs.append(self._job("outcomes", ("outcomes",)))
        return dg.Definitions(assets=assets, jobs=[*jobs, *jobs_for_people(self)])

    def _job(self, what: str, kinds: tuple[str, ...]) -> Any:
        return dg.define_asset_job(
            f"{self.name}_{what}",
            selection=dg.AssetSelection.assets(*(asset_key(self.name, kind) for kind in kinds)),
            executor_def=dg.in_process_executor,  # a process for each step costs about 3 s a step
            tags={MODEL: self.name, KIND: what},
            config={"ops": {f"{self.name}__challenger": {"config": {"params": {}}}}} if what == "training" else None,
            description={
                "batch": f"Takes in one batch of {self.name}: validated, scored, held against training and holdout.",
                "outcomes": f"Takes in a batch of labels of {self.name} and joins them to their rows.",
                "training": f"Trains a challenger of {self.name} now, judges it and, on evidence, makes it champion; "
                "`params` in the launchpad replace declared and searched ones.",
            }[what],
        )
