"""Descent of any function that returns values and a gradient."""
