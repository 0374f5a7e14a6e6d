"""Receives OTLP over HTTP with oteltest's sink, on a port that the system assigns, until standard input ends.

Prints the port, and then each request as a line of JSON: the signal, and the message in protobuf's JSON form.
"""

import json
import logging
import sys
import time

from google.protobuf.json_format import MessageToDict
from oteltest.sink import HttpSink
from oteltest.sink.handler import RequestHandler


class PrintingHandler(RequestHandler):
    """Prints each request."""

    def handle_logs(self, request, headers):
        self.show("logs", request)

    def handle_metrics(self, request, headers):
        self.show("metrics", request)

    def handle_trace(self, request, headers):
        self.show("traces", request)

    def show(self, signal, request):
        print(json.dumps({"signal": signal, "request": MessageToDict(request)}), flush=True)


sink = HttpSink(PrintingHandler(), logging.getLogger("sink"), port=0)
sink.start()
while sink.httpd is None:
    time.sleep(0.01)
print(sink.httpd.server_address[1], flush=True)
sys.stdin.read()
