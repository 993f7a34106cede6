"""The asyncio and socket ends of the wire, used by every process."""
