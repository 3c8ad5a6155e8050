"""The strength at which style and content are both recognised."""
