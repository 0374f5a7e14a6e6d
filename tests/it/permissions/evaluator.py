"""Answers whether a policy allows an action, by ministack's IAM evaluator: the one behind its AUTH=true.

A line on standard input is a question in JSON: policy, action, resource, and context, the condition keys that the
request has. A line on standard output is the answer: Allow, Deny or ImplicitDeny.
"""

import json
import sys

from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document, validate_policy_document

for line in sys.stdin:
    question = json.loads(line)
    wrong = validate_policy_document(question["policy"])
    if wrong:
        sys.exit(f"the policy is malformed: {wrong}")
    context = EvalContext(
        principal_arn="arn:aws:sts::111122223333:assumed-role/jitsi-jvb-watcher/watcher",
        principal_type="AssumedRole",
        principal_account="111122223333",
        action=question["action"],
        resource_arn=question["resource"],
        region="eu-west-1",
        # The evaluator asks for keys in lower case; a request that names no tags has no aws:TagKeys.
        service_context={"aws:tagkeys": None} | {key.lower(): value for key, value in question["context"].items()},
    )
    print(evaluate(context, [parse_policy_document(question["policy"])]).decision, flush=True)
