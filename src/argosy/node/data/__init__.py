"""Data connections and the bytes that move over them, between a client or the relay and a file."""
