"""The models that this code location declares, one folder each."""
