"""The one table of verb and handler."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from argosy.doors.ftp import access, lists, parameters, transfers, tree
from argosy.doors.ftp.client import Client, Replies
from argosy.doors.ftp.site import verbs as site
from argosy.wire.ftp.commands import Command
from argosy.wire.ftp.replies import Reply

Handler = Callable[[Client, Command], Reply | Replies]
"""Gives the one reply at once, or yields what there is to say as it comes about."""

HANDLERS: Mapping[str, Handler] = {
    "ABOR": transfers.abort,
    "ACCT": access.account,
    "ALLO": parameters.allocate,
    "APPE": transfers.append,
    "AUTH": access.authenticate,
    "CDUP": tree.up,
    "CLNT": access.program,
    "CWD": tree.change,
    "DELE": tree.delete,
    "EPRT": parameters.extended_port,
    "EPSV": parameters.extended_passive,
    "FEAT": access.features,
    "HELP": access.help_me,
    "LIST": lists.for_people,
    "MDTM": tree.modification_time,
    "MFMT": tree.set_modification_time,
    "MKD": tree.make_directory,
    "MLSD": lists.for_programs,
    "MLST": lists.one_for_programs,
    "MODE": parameters.mode,
    "NLST": lists.names,
    "NOOP": access.nothing,
    "OPTS": access.options,
    "PASS": access.password,
    "PASV": parameters.passive,
    "PBSZ": access.buffer_size,
    "PORT": parameters.port,
    "PRET": parameters.announce,
    "PROT": access.protect,
    "PWD": tree.where,
    "QUIT": access.leave,
    "REIN": access.reinitialize,
    "REST": parameters.restart,
    "RETR": transfers.retrieve,
    "RMD": tree.remove_directory,
    "RNFR": tree.rename_from,
    "RNTO": tree.rename_to,
    "SITE": site.site,
    "SIZE": tree.size,
    "STAT": lists.status,
    "STOR": transfers.store,
    "STRU": parameters.structure,
    "SYST": access.system,
    "TYPE": parameters.representation,
    "USER": access.user,
    "XCRC": tree.checksum,
}
"""A test says that its verbs are just those of `wire.ftp.commands.VERBS`."""
