"""Versions of the model and the champion pointer; the lowest layer: it imports nothing of ours."""
