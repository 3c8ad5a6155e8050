"""Charts, tables and self-contained pages; what is drawn is up to the caller."""
