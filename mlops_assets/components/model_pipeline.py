"""`ModelPipeline`: the whole production loop of a model as Dagster definitions, from one declaration."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
from pydantic import BaseModel, Field, PrivateAttr

from mlops_assets.assets.backtest.policy_backtest import backtest_job, policy_backtest_asset
from mlops_assets.assets.batch.dataset import dataset_asset
from mlops_assets.assets.batch.drift import drift_asset
from mlops_assets.assets.batch.features import features_asset
from mlops_assets.assets.batch.outcomes import outcomes_asset
from mlops_assets.assets.batch.performance import performance_asset
from mlops_assets.assets.batch.predictions import predictions_asset
from mlops_assets.assets.jobs import Job, jobs_for_people
from mlops_assets.assets.promotion.champion import champion_asset
from mlops_assets.assets.promotion.model_card import model_card_asset
from mlops_assets.assets.shared.asset_job import asset_job
from mlops_assets.assets.shared.keys import BATCH_ASSETS, TRAINING_ASSETS, declare
from mlops_assets.assets.shared.model_asset import Asset
from mlops_assets.assets.shared.this_run import note_if_not_alone
from mlops_assets.assets.training.challenger import challenger_asset
from mlops_assets.assets.training.evaluation import evaluation_asset
from mlops_assets.assets.training.training_set import training_set_asset
from mlops_assets.components.defs_yaml import DeclaredInYaml, by_line
from mlops_assets.components.scaffolding import ModelScaffolder
from mlops_assets.components.schema import SEGMENTS, ModelAttributes
from mlops_assets.components.tree import refuse_second_of_a_name
from mlops_assets.dagster_private import NearAssetsJob, kept_with_location
from mlops_assets.declaration import Declaration
from mlops_assets.declaration.segments import models_of_segments
from mlops_assets.errors import DeclarationError, ExpectationsError
from mlops_assets.strict_model import DeclaredWrongly, Problem, title
from mlops_assets.text import shown


@dg.scaffold_with(ModelScaffolder)
class ModelPipeline(Declaration, DeclaredInYaml):
    """A model, declared once: its whole production loop as assets, checks and jobs.

    In Python, call `ModelPipeline(...).build_defs()`; in YAML, the same fields are attributes of this component. With
    `segments` there is a model for each. A missing, misspelt or wrong field raises a `DeclarationError` that names it.
    Names of scikit-learn or Great Expectations are resolved inside the steps: a declaration imports neither.
    """

    segments: list[dict[str, Any]] | None = Field(None, description=SEGMENTS)
    _models: tuple["ModelPipeline", ...] = PrivateAttr(())

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        self._models = tuple(models_of_segments(type(self), fields))

    @property
    def models(self) -> Sequence["ModelPipeline"]:
        """The models that are built: this model, or one for each segment."""
        return self._models or (self,)

    def build_defs(self, context: dg.ComponentLoadContext | None = None) -> dg.Definitions:
        """Return all assets, checks and jobs of the model; their descriptions say what they do."""
        try:
            if context is not None:
                refuse_second_of_a_name([model.name for model in self.models], context)
            with kept_with_location():
                built = [model._definitions() for model in self.models]
        except DeclarationError as error:
            raise by_line(error, context) from None
        return built[0] if len(built) == 1 else dg.Definitions.merge(*built)

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        return ModelAttributes

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        return dg.ComponentTypeSpec(tags=["mlops"], produces=["asset", "asset_check", "job"])

    def _definitions(self) -> dg.Definitions:
        suite = self.suite_path()
        try:
            if suite is not None and not suite.parent.is_dir():  # a missing suite may be exported there
                folder = shown(str(suite.parent))
                raise ExpectationsError(f"{suite}: there is no folder {folder}. Make it, or correct the path.")
            return self._built()
        except ExpectationsError as error:
            problem = Problem(("expectations",), f"expectations: {str(error).removeprefix('expectations: ')}")
            raise DeclaredWrongly(title(type(self).__name__, {"name": self.name}), [problem]) from None

    def _built(self) -> dg.Definitions:
        declare(self)
        note_if_not_alone(self)
        assets: list[Asset] = [
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
        jobs: list[Job] = [self._job("batch", BATCH_ASSETS), self._job("training", TRAINING_ASSETS), backtest_job(self)]
        if self.outcomes is not None:
            assets.append(outcomes_asset(self))
            jobs.append(self._job("outcomes", ("outcomes",)))
        return dg.Definitions(assets=assets, jobs=[*jobs, *jobs_for_people(self)])

    def _job(self, what: str, kinds: tuple[str, ...]) -> NearAssetsJob:
        description = {
            "batch": f"Takes in one batch of {self.name}: validated, scored, held against training and holdout.",
            "outcomes": f"Takes in a batch of labels of {self.name} and joins them to their rows.",
            "training": f"Trains a challenger of {self.name} now, judges it and, on evidence, makes it champion; "
            "`params` in the launchpad replace declared and searched ones.",
        }[what]
        config: dict[str, Any] = {"challenger": {"params": {}}} if what == "training" else {}
        return asset_job(self.name, what, *kinds, config=config, description=description)
