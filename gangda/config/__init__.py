"""Every name a user can type, every default, and where a value came from. Imports neither torch nor NumPy."""
