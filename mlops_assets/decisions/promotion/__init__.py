"""Decisions on promotion: the comparison of challenger and champion, its guards and gates, and the alias."""
