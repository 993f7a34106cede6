"""The nodes as the master sees them."""
