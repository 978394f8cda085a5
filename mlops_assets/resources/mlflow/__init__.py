"""MLflow: its registry, runs and calls, the files of models, and the types that these files may hold."""
