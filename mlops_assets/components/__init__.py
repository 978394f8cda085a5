"""The components of a `defs.yaml`: a model, and the deployment that all models of a code location share."""
