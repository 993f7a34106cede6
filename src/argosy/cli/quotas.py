"""`argosy quota`: who uses how much of what."""

from __future__ import annotations

import argparse
import asyncio

from argosy.accounts.accounts import Accounts
from argosy.accounts.ledger import Holder, Ledger, Limit
from argosy.catalogue.people import Use
from argosy.cli import grammar, tables
from argosy.cli.catalogues import master_config, opened
from argosy.config import Master


def declare(to: grammar.Add) -> None:
    """Declare the words of this module."""
    grammar.dir_or_config(grammar.word(to, "quota", show))


def show(arguments: argparse.Namespace) -> int:
    """Show how much users, groups and sections hold, and how much they may."""
    rows = asyncio.run(_count(master_config(arguments)))
    if arguments.json:
        documents = [
            {
                "kind": limit.holder.kind,
                "name": limit.holder.name,
                "files": use.files,
                "quota_files": limit.files,
                "bytes": use.bytes,
                "quota_bytes": limit.bytes,
            }
            for limit, use in rows
        ]
        print(tables.as_json({"quotas": documents}))
        return 0
    cells = [
        (
            *(limit.holder.kind, limit.holder.name),
            *(use.files, limit.files or "-", tables.size(use.bytes)),
            tables.size(limit.bytes) if limit.bytes else "-",
        )
        for limit, use in rows
    ]
    head = ("what", "name", "files", "of", "bytes", "of them")
    print(tables.aligned(head, cells, right=("files", "of", "bytes", "of them")))
    return 0


async def _count(master: Master) -> list[tuple[Limit, Use]]:
    async with opened(master.catalogue) as catalogue:
        book = Accounts(catalogue)
        try:
            limits = [
                Limit(Holder("user", user.name), account.quota_bytes, account.quota_files)
                for user in book.users()
                for account in [book.account(user.name)]
            ]
            limits += [
                Limit(
                    Holder("group", group.name),
                    group.settings.total_bytes or 0,
                    group.settings.total_files or 0,
                )
                for group in book.groups()
            ]
        finally:
            book.close()
        limits += [
            Limit(Holder("section", name), section.quota_bytes, section.quota_files)
            for name, section in master.sections.items()
        ]
        ledger = Ledger(catalogue, master.sections)
        await ledger.count()
        return [(limit, ledger.use(limit.holder)) for limit in limits]
