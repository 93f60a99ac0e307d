"""What a version saw at training: bins, counts and coded rows, frozen with it."""
