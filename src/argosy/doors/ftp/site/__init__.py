"""SITE: what this server has beyond the RFCs, by subject, and `verbs`, the table."""
