"""The worth of each feature: importance, refits without it, its cost."""
