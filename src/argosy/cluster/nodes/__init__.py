"""The nodes as the master sees them, and what runs on them."""
