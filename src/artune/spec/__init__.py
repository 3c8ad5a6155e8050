"""What is asked for: frozen, checked, JSON-able, and free of torch."""
