"""The catalogue on disk: the only SQL of the master.

`engine` holds the database and its threads; every other module is plain functions on a connection, which
run inside a transaction that the engine began.
"""
