"""Films: read, styled frame by frame without flicker, and written."""
