"""Registers the tasks of events one by one, as AWS's sample for ECS Anywhere does.

The sample is lib/ip-handler/index.js of aws-samples/ecs-anywhere-load-balancer-integration (commit
2631af1bcbd30eb3b8f5ce1cd9062a0d2b814377): for each event that says RUNNING or STOPPED it describes the task, finds the
address, and registers or deregisters it. It asks the container instance and SSM for the address; a Fargate task has its
own in the answer, so these two calls are left out. The queue is in place of Lambda's invocations, read ten messages at a
time and deleted one by one, as in boto3's example for SQS.
"""

import json
import os

import boto3

sqs = boto3.client("sqs", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
ecs = boto3.client("ecs")
elbv2 = boto3.client("elbv2")

QUEUE_URL = os.environ["QUEUE_URL"]
TARGET_GROUP_ARNS = os.environ["TARGET_GROUP_ARNS"].split(",")


def handle(event):
    detail = event["detail"]
    status = detail["lastStatus"]
    if status not in ("RUNNING", "STOPPED"):
        return
    tasks = ecs.describe_tasks(cluster=detail["clusterArn"], tasks=[detail["taskArn"]])["tasks"]
    details = tasks[0]["attachments"][0]["details"]
    address = next(entry["value"] for entry in details if entry["name"] == "privateIPv4Address")
    for arn in TARGET_GROUP_ARNS:
        if status == "RUNNING":
            elbv2.register_targets(TargetGroupArn=arn, Targets=[{"Id": address}])
        else:
            elbv2.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": address}])


while True:
    received = sqs.receive_message(QueueUrl=QUEUE_URL, MaxNumberOfMessages=10, WaitTimeSeconds=20)
    for message in received.get("Messages", []):
        handle(json.loads(message["Body"]))
        sqs.delete_message(QueueUrl=QUEUE_URL, ReceiptHandle=message["ReceiptHandle"])
