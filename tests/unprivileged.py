"""Commands as a user who may read everything and owns nothing."""

NOBODY = 65534
# Python itself may stand in a folder of root's: to read it all is allowed, to write it is not.
UNPRIVILEGED = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
UNPRIVILEGED += ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
