"""Front doors, one protocol each."""
