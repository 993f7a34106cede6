"""`argosy`: one word per job."""
