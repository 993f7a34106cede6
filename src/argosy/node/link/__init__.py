"""A node's end of the link: how it comes to know the master, takes orders and tells what it has."""
