"""What can go wrong, each with its exit code and the next step in its message.

RegistryError
├── UsageError            2   the call is wrong
├── UnknownVersionError   3   no such version, no champion, no earlier champion
├── GuardrailError        4   the challenger is worse than the champion, or that is undecided
├── MovedError            5   someone else holds or has moved the pointer
├── IntegrityError        6   bytes are not those of the manifest, or cannot be loaded
├── UnconfirmedError      7   the move is done, but not every worker serves it
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


class GuardrailError(RegistryError):
    exit_code = 4


class MovedError(RegistryError):
    exit_code = 5


class IntegrityError(RegistryError):
    exit_code = 6


class UnconfirmedError(RegistryError):
    exit_code = 7


class VersionExistsError(RegistryError):
    pass
