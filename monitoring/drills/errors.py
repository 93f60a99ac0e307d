"""Why a drill ends before its end."""

from registry.errors import RegistryError


class DrillError(RegistryError):
    """A stage did not come about as it should."""


class ImpossibleError(RegistryError):
    """The fault cannot be injected on this machine."""

    exit_code = 3
