"""What was written, until the site has it."""
