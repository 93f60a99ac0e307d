"""From rows with labels to a version's artefacts; nothing here is imported while serving."""
