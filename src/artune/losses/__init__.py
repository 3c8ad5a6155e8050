"""Losses: formulas, terms, objectives."""
