"""What it takes to watch a running service with a real Prometheus and Alertmanager."""
