"""The one view of files that every door sees: what is there, whom it is shown to, and how it moves."""
