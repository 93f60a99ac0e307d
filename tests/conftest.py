from hypothesis import HealthCheck, settings

# A busy machine must not fail a property that holds.
settings.register_profile("ours", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")
