"""Measures of pictures: numbers that say how much of the photograph and of the painting is in a result."""
