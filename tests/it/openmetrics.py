"""Parses OpenMetrics text from standard input with Prometheus's own, strict parser.

Prints the metric families as JSON: by name, the type, the unit and the samples with their names, labels and values.
"""

import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

families = {}
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.name not in families, f"duplicate family {family.name}"
    assert family.documentation, f"{family.name} has no help"
    samples = [{"name": sample.name, "labels": sample.labels, "value": sample.value} for sample in family.samples]
    families[family.name] = {"type": family.type, "unit": family.unit, "samples": samples}
print(json.dumps(families))
