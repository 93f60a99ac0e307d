"""The inference log: written before an answer leaves, compacted later, read back as one."""
