"""`new_data`: new, changed and incomplete batches of the sources, and the runs that take them in."""
