"""One TOML file into frozen structs; an unknown key, a wrong type or a senseless value is named.

`docs/operations/configuration.md` names every key; a test holds the two together. Durations are seconds,
sizes are bytes, addresses are `host:port` with IPv6 hosts in brackets. Paths in a file are relative to
the file's own directory.
"""

from argosy.config.gateway import Cache, Gateway, Journal, NfsDoor, Remote, SiteOf, State, load_gateway
from argosy.config.master import (
    MOST_COPIES,
    Accounts,
    Catalogue,
    Findings,
    FtpDoor,
    Link,
    Master,
    Paths,
    Placement,
    Quota,
    Repair,
    Search,
    Section,
    Spread,
    Sums,
    check_ages,
    check_copies,
    check_trash,
    load_master,
)
from argosy.config.node import Node, Scrub, load_node
from argosy.config.tables import Table, join_address, split_address

__all__ = [
    "MOST_COPIES",
    "Accounts",
    "Cache",
    "Catalogue",
    "Findings",
    "FtpDoor",
    "Gateway",
    "Journal",
    "Link",
    "Master",
    "NfsDoor",
    "Node",
    "Paths",
    "Placement",
    "Quota",
    "Remote",
    "Repair",
    "Scrub",
    "Search",
    "Section",
    "SiteOf",
    "Spread",
    "State",
    "Sums",
    "Table",
    "check_ages",
    "check_copies",
    "check_trash",
    "join_address",
    "load_gateway",
    "load_master",
    "load_node",
    "split_address",
]
