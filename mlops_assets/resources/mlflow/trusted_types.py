"""The types that a stored model may hold, in addition to the types that skops trusts by itself."""

# Types that skops 0.16 does not trust by itself and that fitted models of scikit-learn and of its boosting libraries
# hold. Only names that just hold numbers or call into such names belong here: `scipy.stats` distributions are left
# out because their `__setstate__` runs generated code. Trees, boosters, KD-trees and splines hold indices whose bounds
# predict does not check; the digest, verified before anything is read, vouches for their content.
TRUSTED_TYPES: tuple[str, ...] = (
    "builtins.object",
    *(f"catboost.core.{estimator}" for estimator in ("CatBoostClassifier", "CatBoostRegressor")),
    "collections.OrderedDict",
    "functools.partial",
    "lightgbm.basic.Booster",
    *(f"lightgbm.sklearn.{estimator}" for estimator in ("LGBMClassifier", "LGBMRegressor")),
    "numpy.dtype",
    "numpy.number",
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "scipy.interpolate._bsplines.BSpline",
    "sklearn._loss.loss.HalfTweedieLoss",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.feature_selection._mutual_info.mutual_info_classif",
    "sklearn.feature_selection._mutual_info.mutual_info_regression",
    "sklearn.feature_selection._univariate_selection.chi2",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.feature_selection._univariate_selection.f_regression",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    *(
        f"sklearn.gaussian_process.kernels.{kernel}"
        for kernel in (
            "ConstantKernel",
            "DotProduct",
            "ExpSineSquared",
            "Exponentiation",
            "Matern",
            "Product",
            "RBF",
            "RationalQuadratic",
            "Sum",
            "WhiteKernel",
        )
    ),
    *(
        f"sklearn.metrics._dist_metrics.{distance}"
        for distance in ("ChebyshevDistance64", "EuclideanDistance64", "ManhattanDistance64", "MinkowskiDistance64")
    ),
    *(
        f"sklearn.metrics._classification.{score}"
        for score in (
            *("accuracy_score", "balanced_accuracy_score", "brier_score_loss", "cohen_kappa_score", "f1_score"),
            *("fbeta_score", "jaccard_score", "log_loss", "matthews_corrcoef", "precision_score", "recall_score"),
        )
    ),
    *(f"sklearn.metrics._ranking.{score}" for score in ("average_precision_score", "roc_auc_score")),
    *(
        f"sklearn.metrics._regression.{score}"
        for score in (
            *("explained_variance_score", "max_error", "mean_absolute_error", "mean_absolute_percentage_error"),
            *("mean_gamma_deviance", "mean_pinball_loss", "mean_poisson_deviance", "mean_squared_error"),
            *("mean_squared_log_error", "median_absolute_error", "r2_score", "root_mean_squared_error"),
        )
    ),
    *(f"sklearn.metrics._scorer.{scorer}" for scorer in ("_CurveScorer", "_PassthroughScorer", "_Scorer")),
    *(
        f"sklearn.model_selection._split.{splitter}"
        for splitter in ("GroupKFold", "KFold", "StratifiedKFold", "TimeSeriesSplit")
    ),
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    *(f"sklearn.utils._metadata_requests.{kind}" for kind in ("MetadataRequest", "MethodMetadataRequest")),
    "sklearn.utils.validation.check_array",
    "xgboost.core.Booster",
    *(
        f"xgboost.sklearn.{estimator}"
        for estimator in ("XGBClassifier", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor")
    ),
)
