"""A challenger beside its champion: the rows that both scored, and what differs."""
