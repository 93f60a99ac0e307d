"""What a data bug looks like."""
