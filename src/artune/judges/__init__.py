"""Judges: networks that recognise styles, contents and classes in pictures."""
