"""What clients were told of files is written down together, and never late."""

import asyncio

from argosy.sites.model import Attributes, Facts, FileId, Kind
from argosy.sites.names.claims import Claims, Told


def told(file: FileId, mtime_ns: int) -> Attributes:
    return Attributes(
        file=file, parent=3, kind=Kind.FILE, size=0, mode=0o644, uid=1, gid=1, mtime_ns=mtime_ns, ctime_ns=1
    )


async def test_what_comes_together_is_written_once_the_last_of_each_file_and_settled_after_that() -> None:
    seen = Facts(name=b"f", kind=Kind.FILE)
    wrote: list[list[tuple[FileId, int]]] = []
    settled: list[FileId] = []
    done: list[asyncio.Future[None]] = []

    def write(*claims: Told) -> asyncio.Future[None]:
        wrote.append([(attributes.file, attributes.mtime_ns) for attributes, _ in claims])
        done.append(asyncio.get_running_loop().create_future())
        return done[-1]

    claims = Claims(write, lambda file, _: settled.append(file))
    claims.add(told(7, 1), seen)
    claims.add(told(8, 2), seen)
    claims.add(told(7, 3), seen)
    async with asyncio.timeout(10):
        while not wrote:
            await asyncio.sleep(0.005)
    claims.add(told(9, 4), seen)
    waiting = asyncio.create_task(claims.written())
    await asyncio.sleep(0.01)
    assert wrote == [[(7, 3), (8, 2)], [(9, 4)]], "who waits has the rest written at once"
    assert not settled
    done[0].set_result(None)
    await asyncio.sleep(0.01)
    assert settled == [7, 8]
    assert not waiting.done()
    done[1].set_exception(OSError("the disk is gone"))
    await asyncio.wait_for(waiting, 10)
    assert settled == [7, 8, 9], "else it would be believed for ever that the site hasn't got it"
