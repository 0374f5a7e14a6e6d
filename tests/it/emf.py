"""Validates log lines in CloudWatch's embedded metric format, read from standard input.

jsonschema validates the document by the schema in the argument. botocore's model of PutMetricData validates the metrics
that CloudWatch extracts: names, units, dimensions, values. Prints the violation in each line as JSON; null if there is
none.
"""

import json
import math
import re
import sys
import time

import botocore.session
from jsonschema import Draft202012Validator, ValidationError

# A log event has at most 1 MB. CloudWatch accepts timestamps from two weeks ago to two hours ahead.
LARGEST = 1024 * 1024
OLDEST, LATEST = 14 * 24 * 3600, 2 * 3600

schema = json.loads(sys.argv[1])
Draft202012Validator.check_schema(schema)
document = Draft202012Validator(schema)
metric_value, dimension_value = (
    Draft202012Validator({"$defs": schema["$defs"], "$ref": f"#/$defs/{name}"})
    for name in ["metricValue", "dimensionValue"]
)
put_metric_data = botocore.session.get_session().get_service_model("cloudwatch").operation_model("PutMetricData")


def members(pairs):
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), f"duplicate members: {names}"
    return dict(pairs)


def no_number(text):
    raise AssertionError(f"{text} is not a JSON number")


def conforms(value, shape, where):
    """Asserts that a value conforms to AWS's model."""
    limits = shape.metadata
    if shape.type_name == "structure":
        for name in shape.required_members:
            assert name in value, f"{where} lacks {name}"
        for name, member in value.items():
            assert name in shape.members, f"{where} has no {name}"
            conforms(member, shape.members[name], f"{where}.{name}")
    elif shape.type_name == "list":
        assert limits.get("min", 0) <= len(value) <= limits.get("max", math.inf), f"{where} has {len(value)} items"
        for item in value:
            conforms(item, shape.member, where)
    elif shape.type_name == "string":
        assert isinstance(value, str), f"{where} is not a string"
        assert limits.get("min", 0) <= len(value) <= limits.get("max", math.inf), f"{where} has {len(value)} characters"
        assert re.fullmatch(limits.get("pattern", ".*"), value), f"{where} is {value!r}"
        assert not shape.enum or value in shape.enum, f"{where} is {value!r}, not one of {shape.enum}"
    elif shape.type_name == "double":
        assert not isinstance(value, bool) and math.isfinite(value), f"{where} is {value!r}"
        # The range of MetricDatum.
        assert value == 0 or 2.0**-360 <= abs(value) <= 2.0**360, f"{where} is {value!r}"
    else:
        assert shape.type_name in ("timestamp", "integer", "boolean"), f"{where} is a {shape.type_name}"


def check(line):
    assert len(line.encode()) <= LARGEST, f"{len(line)} characters"
    root = json.loads(line, object_pairs_hook=members, parse_constant=no_number)
    document.validate(root)
    at = root["_aws"]["Timestamp"] / 1000
    assert -OLDEST < at - time.time() < LATEST, f"the time {at} is not now, in milliseconds"
    for directive in root["_aws"]["CloudWatchMetrics"]:
        names = [metric["Name"] for metric in directive["Metrics"]]
        assert len(names) == len(set(names)), f"duplicate metrics: {names}"
        for dimension_set in directive["Dimensions"]:
            for name in dimension_set:
                dimension_value.validate(root[name])
            data = []
            for metric in directive["Metrics"]:
                value = root[metric["Name"]]
                metric_value.validate(value)
                data.append({
                    "MetricName": metric["Name"],
                    "Unit": metric.get("Unit", "None"),
                    "Timestamp": at,
                    "Dimensions": [{"Name": name, "Value": root[name]} for name in dimension_set],
                    **({"Values": value} if isinstance(value, list) else {"Value": value}),
                })
            request = {"Namespace": directive["Namespace"], "MetricData": data}
            conforms(request, put_metric_data.input_shape, "PutMetricData")


def violation(line):
    try:
        check(line)
    except (AssertionError, KeyError, ValidationError) as error:
        return f"{error.message if isinstance(error, ValidationError) else error!r}"
    return None


for line in sys.stdin.read().splitlines():
    print(json.dumps(violation(line)))
