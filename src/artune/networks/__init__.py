"""Networks that paint: a picture from one pass, without a descent."""
