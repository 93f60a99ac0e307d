"""What can go wrong, each with its exit code and the next step in its message.

RegistryError
├── UsageError            2   the call is wrong
├── UnknownVersionError   3   no such version, no champion, no earlier champion
├── MovedError            5   someone else holds or has moved the pointer
├── IntegrityError        6   bytes on disk are not those of the manifest
└── VersionExistsError    1   a version is never overwritten
ConfigurationError (a UsageError)  configuration.yaml is wrong
"""


class RegistryError(Exception):
    """Root of the package's errors; `exit_code` is what a command line ends with."""

    exit_code = 1


class UsageError(RegistryError):
    exit_code = 2


class ConfigurationError(UsageError):
    pass


class UnknownVersionError(RegistryError):
    exit_code = 3


class MovedError(RegistryError):
    exit_code = 5


class IntegrityError(RegistryError):
    exit_code = 6


class VersionExistsError(RegistryError):
    pass
