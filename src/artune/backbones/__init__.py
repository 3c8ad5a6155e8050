"""Perceptual networks with named taps."""
