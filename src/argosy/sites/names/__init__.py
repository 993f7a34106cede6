"""Which names there are, what is known of them, and how they change."""
