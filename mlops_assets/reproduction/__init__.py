"""Fits a registered version again, and tells what is not as it was when it was first fitted."""
