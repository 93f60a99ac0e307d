"""Incident drills: a fault in a scratch service, its alert, and the runbook that ends it."""
