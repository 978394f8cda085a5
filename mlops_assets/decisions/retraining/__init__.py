"""Decisions on retraining: whether a challenger is trained now, and which rule would have been best in the past."""
