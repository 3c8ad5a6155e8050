"""Networks that paint: a picture in a few learned steps, without a descent."""
