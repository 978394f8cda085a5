"""Fits a registered version again and reports what differs from its first fit."""
