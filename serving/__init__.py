"""The HTTP side of the service: what stands between a request and the champion's scores."""
