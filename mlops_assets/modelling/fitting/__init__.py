"""How an estimator is built, searched and fitted; baselines that it must beat."""
