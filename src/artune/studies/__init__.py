"""Experiments over many pictures: which runs, where they are computed and kept, and what follows."""
