"""Metrics, estimators, searches, features and predictions: plain functions over frames."""
