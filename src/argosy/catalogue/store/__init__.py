"""The only SQL on the master: plain functions over a connection, each one transaction long at most."""
