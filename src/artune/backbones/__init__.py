"""Loss networks with named taps."""
