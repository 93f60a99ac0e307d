"""A window of the log held against the reference: what changed, why and since when."""
