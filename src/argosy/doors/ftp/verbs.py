"""The one table of verb and handler."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from argosy.doors.ftp import about, access, checksums, facts, lists, parameters, security, transfers, tree
from argosy.doors.ftp.client import Client, Replies
from argosy.doors.ftp.site import verbs as site
from argosy.wire.ftp.commands import Command
from argosy.wire.ftp.replies import Reply

Handler = Callable[[Client, Command], Reply | Replies]
"""Gives the one reply at once, or yields what there is to say as it comes about."""

HANDLERS: Mapping[str, Handler] = {
    "ABOR": transfers.abort,
    "ACCT": access.account,
    "ADAT": security.data,
    "ALLO": parameters.allocate,
    "APPE": transfers.append,
    "AUTH": security.authenticate,
    "AVBL": facts.available,
    "CCC": security.clear,
    "CDUP": tree.up,
    "CLNT": about.program,
    "CONF": security.wrapped,
    "CSID": about.identify,
    "CWD": tree.change,
    "DELE": tree.delete,
    "ENC": security.wrapped,
    "EPRT": parameters.extended_port,
    "EPSV": parameters.extended_passive,
    "FEAT": about.features,
    "HASH": checksums.hash_of,
    "HELP": about.help_me,
    "HOST": access.host,
    "LANG": about.language,
    "LIST": lists.for_people,
    "MD5": checksums.md5,
    "MDTM": facts.modification_time,
    "MFCT": facts.set_creation_time,
    "MFF": facts.set_facts,
    "MFMT": facts.set_modification_time,
    "MIC": security.wrapped,
    "MKD": tree.make_directory,
    "MLSD": lists.for_programs,
    "MLST": lists.one_for_programs,
    "MODE": parameters.mode,
    "NLST": lists.names,
    "NOOP": about.nothing,
    "OPTS": about.options,
    "PASS": access.password,
    "PASV": parameters.passive,
    "PBSZ": security.buffer_size,
    "PORT": parameters.port,
    "PRET": parameters.announce,
    "PROT": security.protect,
    "PWD": tree.where,
    "QUIT": access.leave,
    "RANG": checksums.choose_range,
    "REIN": access.reinitialize,
    "REST": parameters.restart,
    "RETR": transfers.retrieve,
    "RMD": tree.remove_directory,
    "RNFR": tree.rename_from,
    "RNTO": tree.rename_to,
    "SITE": site.site,
    "SIZE": facts.size,
    "STAT": lists.status,
    "STOR": transfers.store,
    "STOU": transfers.store_unique,
    "STRU": parameters.structure,
    "SYST": about.system,
    "TYPE": parameters.representation,
    "USER": access.user,
    "XCRC": checksums.by_verb,
    "XMD5": checksums.by_verb,
    "XSHA": checksums.by_verb,
    "XSHA1": checksums.by_verb,
    "XSHA256": checksums.by_verb,
    "XSHA512": checksums.by_verb,
}
"""A test says that its verbs are just those of `wire.ftp.commands.VERBS`."""
