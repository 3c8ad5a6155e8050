"""Measures of pictures: how near a result is to its style and to its content."""
