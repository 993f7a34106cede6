"""Which bytes of a file are fetched, and which are still there."""
