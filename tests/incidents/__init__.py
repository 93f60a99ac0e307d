"""Incidents that happen to a real service, and who is told."""
