"""The service's paths, for whoever counts requests."""

PROBES = ("/health", "/livez", "/readyz", "/metrics")
"""What machines ask all the time: no requests where shares and rates are meant."""
