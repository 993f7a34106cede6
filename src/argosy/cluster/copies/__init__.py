"""What is wanted of files' copies, and how it is had."""
