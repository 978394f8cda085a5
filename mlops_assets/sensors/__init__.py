"""What fires: one sensor of a kind for all models of a code location."""
