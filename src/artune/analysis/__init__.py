"""What networks see: reconstruction from layers, and dissection of units."""
