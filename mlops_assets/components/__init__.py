"""What a `defs.yaml` declares: a model, and what all models of a code location share."""
