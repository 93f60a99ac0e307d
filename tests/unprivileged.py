"""Commands as a user who is not root."""

NOBODY = 65534
_AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
# Python itself may stand in a folder of root's: to read it all is allowed, to write it is not.
UNPRIVILEGED = [*_AS_NOBODY, "--inh-caps=-all,+dac_read_search"]
UNPRIVILEGED += ["--ambient-caps=-all,+dac_read_search"]
AS_OWNER = [*_AS_NOBODY, "--inh-caps=-all", "--ambient-caps=-all"]
"""Without any privilege, that of reading everybody's files included."""
