"""What became known later: imported, kept with its history, matched with the log."""
