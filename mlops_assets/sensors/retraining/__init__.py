"""`retraining`: the evidence of a decision, the recorded decision, and the run that it requests."""
