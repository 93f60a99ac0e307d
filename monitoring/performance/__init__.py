"""How good a version is, with labels and without."""
