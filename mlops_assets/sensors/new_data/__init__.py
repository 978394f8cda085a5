"""`new_data`: what is new, changed or incomplete in the sources, and the runs that take it in."""
