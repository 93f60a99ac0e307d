"""A report document as text, page and metrics, in English and Portuguese."""
