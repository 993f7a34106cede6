"""Who is here: sessions and their limits, and who may not come for a while."""
