"""The runbook, executed."""
