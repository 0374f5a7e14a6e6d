"""Serves moto on a free port of the loopback until standard input ends, i.e. until the test process ends.

The first line on standard output is the address.
"""

import logging
import os
import sys
import time

from moto.moto_api import state_manager
from moto.server import ThreadedMotoServer
from moto.sqs import models as sqs

# A log line per request would hide the messages of failing tests.
logging.getLogger("werkzeug").setLevel(logging.ERROR)

# By default, each DescribeTasks call moves a task one status towards STOPPED. With this it runs until StopTask,
# as on AWS.
state_manager.set_transition("ecs::task", {"progression": "manual", "times": 10**9})

# For each message sent or received, moto counts the whole queue several times. With a thousand messages a call
# takes seconds, nearly all of them spent in getting the time and in the function below.
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
# Threads may still wait in long polls, which nothing reads any more.
os._exit(0)
