"""What the model saw in production, held against what it was trained on."""
