"""Pictures for people, as PNG: of a model, and of what policies would have done."""
