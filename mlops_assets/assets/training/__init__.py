"""Assets of a training: the set, the challenger with its gates, and its evaluation."""
