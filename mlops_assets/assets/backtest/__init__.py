"""The past of a model replayed under other retraining rules."""
