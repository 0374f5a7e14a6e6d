"""Runs a VRL program on lines, as Vector's remap transform does with what the journal contains.

Reads a JSON object with the `program` and the `lines` from standard input, and prints for each line the event as JSON, or null
if the program aborts.
"""

import json
import sys

from vrl_python import VRLRuntime

given = json.load(sys.stdin)
diagnostic = VRLRuntime.check_syntax(given["program"])
assert diagnostic is None, diagnostic.formatted_message
runtime = VRLRuntime()
for line in given["lines"]:
    try:
        event = runtime.execute(given["program"], {"message": line, "host": "a-host", "PRIORITY": "6"}).processed_event
    except RuntimeError as error:
        assert "aborted" in str(error), error
        event = None
    print(json.dumps(event, default=str))
