"""`retraining`: the evidence of a decision, the decision on record, and the run that it asks for."""
