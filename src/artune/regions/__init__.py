"""Parts of a picture."""
