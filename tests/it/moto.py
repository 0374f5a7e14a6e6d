"""Serves moto to the tests: on a free port of the loopback, until standard input ends.

The first line on standard output is the address. Ending with standard input means ending with the test
process, however that ends.
"""

import logging
import os
import sys
import time

from moto.moto_api import state_manager
from moto.server import ThreadedMotoServer
from moto.sqs import models as sqs

# One line a request would bury what a failing test has to say.
logging.getLogger("werkzeug").setLevel(logging.ERROR)

# As moto comes, a task moves one status towards STOPPED each time somebody describes it. Here it runs
# until StopTask, as on AWS.
state_manager.set_transition("ecs::task", {"progression": "manual", "times": 10**9})

# Each message that is sent or received has moto count the whole queue several times over. With a thousand
# messages that takes seconds a call, nearly all of it in asking what time it is and in this question.
sqs.unix_time = time.time
sqs.unix_time_millis = lambda: time.time() * 1000


def is_kept(backend, queue_name, message):
    kept_until = message.sent_timestamp / 1000 + backend.get_queue(queue_name).message_retention_period
    return kept_until > time.time()


sqs.SQSBackend.is_message_valid_based_on_retention_period = is_kept

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
print(f"{host}:{port}", flush=True)

sys.stdin.buffer.read()
# Long polls may still be waiting in their threads; nobody is left to answer.
os._exit(0)
