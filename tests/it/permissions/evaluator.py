"""Evaluates IAM policies with ministack's evaluator, the one that its AUTH=true uses.

Each line on standard input is a question in JSON: policy, action, resource, and context, i.e. the condition keys of
the request. Each line on standard output is the answer: Allow, Deny or ImplicitDeny.
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
        # The evaluator looks keys up in lower case. A request without tags has no aws:TagKeys.
        service_context={"aws:tagkeys": None} | {key.lower(): value for key, value in question["context"].items()},
    )
    print(evaluate(context, [parse_policy_document(question["policy"])]).decision, flush=True)
