"""What all assets share: keys, metadata, drawings."""
