"""The training of networks that paint in one style."""
