"""Pictures and the files they live in: sRGB in [0, 1], upright."""
