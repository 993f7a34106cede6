"""What exists, and which nodes hold it."""
