"""Serves microburst on a free port of the loopback until standard input ends, i.e. until the test ends.

The arguments are the upstream's URL and the rules as JSON. The first line on standard output is the address, the last ones,
once standard input has ended, are the faults that were injected, one `ACTION SERVICE:OPERATION` a line.
"""

import asyncio
import json
import logging
import random
import sys

from aiohttp import web
from microburst.app import make_app
from microburst.core.pipeline import Microburst

# microburst draws from Python's generator and has no option for its seed.
random.seed(7)
# The connections that it cuts make aiohttp's log say so.
logging.disable(logging.CRITICAL)


async def main(upstream, rules):
    microburst = Microburst(upstream, rules=json.loads(rules))
    runner = web.AppRunner(make_app(microburst))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = site._server.sockets[0].getsockname()
    print(f"{host}:{port}", flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)
    await runner.cleanup()


asyncio.run(main(*sys.argv[1:]))
