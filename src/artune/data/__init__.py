"""Folders of pictures, to learn from and to be tested on."""
