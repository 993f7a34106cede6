"""The administrator's door."""
