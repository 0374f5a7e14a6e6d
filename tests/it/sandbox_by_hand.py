"""Scales the platform up and down with boto3, as an operator does by hand, configured only by the variables that
`jvb-watcher sandbox` prints. Prints the state at the end of each as one line of JSON.
"""

import json
import os
import time

import boto3

PROJECT = os.environ["JITSI_PROJECT"]
CLUSTER, SERVICE, LOAD_BALANCER = f"{PROJECT}-cluster", f"{PROJECT}-service", f"{PROJECT}-jvb-nlb"
SUBNET, VPC = "subnet-0a1b2c3d4e5f60718", "vpc-0a1b2c3d4e5f60718"
ACCOUNT = "111122223333"
TIMEOUT = 60
WAITER = {"Delay": 1, "MaxAttempts": TIMEOUT}

ecs, elb, sqs = (boto3.client(name) for name in ("ecs", "elbv2", "sqs"))


def until(condition, check):
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        result = check()
        if result:
            return result
        time.sleep(0.1)
    raise SystemExit(f"timed out: {condition}")


def health(group):
    described = elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    return {target["Target"]["Id"]: target["TargetHealth"]["State"] for target in described}


def scale_up():
    tags = [{"Key": "Lifecycle", "Value": "on-demand"}]
    created = elb.create_load_balancer(Name=LOAD_BALANCER, Type="network", Subnets=[SUBNET], Tags=tags)
    load_balancer = created["LoadBalancers"][0]["LoadBalancerArn"]
    groups = []
    certificate = f"arn:aws:acm:{elb.meta.region_name}:{ACCOUNT}:certificate/0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
    tls = {"Protocol": "TLS", "Port": 443, "Certificates": [{"CertificateArn": certificate}]}
    for name, protocol, port, health_check_port, listener in (
        (f"{PROJECT}-jvb-udp", "UDP", 10000, "8080", {"Protocol": "UDP", "Port": 10000}),
        (f"{PROJECT}-jvb-web", "TCP", 8000, "traffic-port", tls),
    ):
        group = elb.create_target_group(
            Name=name, Protocol=protocol, Port=port, VpcId=VPC, TargetType="ip", HealthCheckProtocol="TCP",
            HealthCheckPort=health_check_port, Tags=tags,
        )["TargetGroups"][0]["TargetGroupArn"]
        action = {"Type": "forward", "TargetGroupArn": group}
        elb.create_listener(LoadBalancerArn=load_balancer, DefaultActions=[action], **listener)
        groups.append(group)
    elb.get_waiter("load_balancer_available").wait(Names=[LOAD_BALANCER], WaiterConfig=WAITER)
    ecs.update_service(cluster=CLUSTER, service=SERVICE, desiredCount=2)
    ecs.get_waiter("services_stable").wait(cluster=CLUSTER, services=[SERVICE], WaiterConfig=WAITER)
    tasks = ecs.list_tasks(cluster=CLUSTER, serviceName=SERVICE)["taskArns"]
    described = ecs.describe_tasks(cluster=CLUSTER, tasks=tasks)["tasks"]
    details = [detail for task in described for attachment in task["attachments"] for detail in attachment["details"]]
    addresses = {detail["value"] for detail in details if detail["name"] == "privateIPv4Address"}
    for group in groups:
        until(
            "the watcher registers the tasks and they become healthy",
            lambda: health(group) == {address: "healthy" for address in addresses},
        )
    print(json.dumps({"tasks": len(tasks), "addresses": len(addresses)}), flush=True)
    return groups


def scale_down(groups):
    ecs.update_service(cluster=CLUSTER, service=SERVICE, desiredCount=0)
    ecs.get_waiter("services_stable").wait(cluster=CLUSTER, services=[SERVICE], WaiterConfig=WAITER)
    until("the watcher deletes the load balancer", lambda: not load_balancers())
    until("the watcher deletes the target groups", lambda: not elb.describe_target_groups()["TargetGroups"])
    service = ecs.describe_services(cluster=CLUSTER, services=[SERVICE])["services"][0]
    url = sqs.get_queue_url(QueueName=f"{PROJECT}-jvb-watcher")["QueueUrl"]
    until("the watcher empties the queue", lambda: depth(url) == 0)
    dead_letter_queue = sqs.get_queue_url(QueueName=f"{PROJECT}-jvb-watcher-dlq")["QueueUrl"]
    counts = {name: service[name] for name in ("desiredCount", "runningCount", "pendingCount")}
    print(json.dumps({**counts, "deadLetters": depth(dead_letter_queue)}), flush=True)


def load_balancers():
    return elb.describe_load_balancers()["LoadBalancers"]


def depth(url):
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(attributes[name]) for name in names)


scale_down(scale_up())
