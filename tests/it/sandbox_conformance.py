"""Sends the same requests to moto and to the sandbox: to the endpoint in the first argument. Prints each response as one
line of JSON, with ids, times and addresses normalized. The other arguments are the region, a VPC, one of its subnets, and
the name of the service.
"""

import datetime
import json
import re
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError

ENDPOINT, REGION, VPC, SUBNET, SCRIPT = sys.argv[1:]


def client(service):
    return boto3.client(
        service,
        endpoint_url=ENDPOINT,
        region_name=REGION,
        aws_access_key_id="any",
        aws_secret_access_key="any",
        # Requests that AWS would refuse must reach the server, so botocore must not validate them.
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )


ecs, elb, sqs, events, sts = (client(name) for name in ("ecs", "elbv2", "sqs", "events", "sts"))
cloudwatch = client("cloudwatch")

NORMALIZED = [
    (re.compile(r"https?://[^/\s\"]+"), "ENDPOINT"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"\b\d{12}\b"), "ACCOUNT"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "TIME"),
    (re.compile(r"\b(\d{10}(\.\d+)?|\d{13})\b"), "TIME"),
    (re.compile(r"\b([0-9a-f]{16,40})\b"), "ID"),
    (re.compile(r"\b(subnet|vpc|eni|sg)-[0-9a-f]+"), r"\1-ID"),
    (re.compile(r"\b\d+\.\d+\.\d+\.\d+\b"), "ADDRESS"),
    (re.compile(r"\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b"), "MAC"),
    (re.compile(r"\bip-\d+-\d+-\d+-\d+\.[a-z0-9.-]+"), "HOST"),
]
# Members whose values differ between any two servers.
OPAQUE = {"ReceiptHandle", "DNSName", "nextToken", "NextToken", "NextMarker"}


def normalize(value, name=""):
    if isinstance(value, dict):
        return {key: normalize(item, key) for key, item in value.items() if key != "ResponseMetadata"}
    for pair in (("Key", "Value"), ("key", "value"), ("name", "value")):
        # A list of names and values has no order, so it becomes a dictionary.
        if isinstance(value, list) and value and all(isinstance(item, dict) and set(item) == set(pair) for item in value):
            return {item[pair[0]]: normalize(item[pair[1]]) for item in value}
    if isinstance(value, (list, tuple)):
        return [normalize(item, name) for item in value]
    if isinstance(value, (datetime.datetime, datetime.date)):
        return "TIME"
    if isinstance(value, str):
        if name in OPAQUE:
            return "OPAQUE"
        if name == "Body" and value.startswith("{"):
            return normalize(json.loads(value))
        for pattern, replacement in NORMALIZED:
            value = pattern.sub(replacement, value)
    return value


def step(name, call, **arguments):
    """Sends a request, prints its normalized response or error, and returns the response."""
    response = {}
    try:
        response = call(**arguments)
        line = {"step": name, "response": normalize(response)}
    except ClientError as error:
        code = error.response["Error"]["Code"]
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        line = {"step": name, "error": {"Code": code, "Status": status}}
    except ParamValidationError as error:
        raise SystemExit(f"{name}: {error}")
    print(json.dumps(line, sort_keys=True), flush=True)
    return response


def until(condition, call, check, seconds=20, **arguments):
    """Repeats a request until its response satisfies a check."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        response = call(**arguments)
        if check(response):
            return response
        time.sleep(0.05)
    raise SystemExit(f"timed out: {condition}; the last response was {response}")


def sort_member(response, member, key):
    """Sorts a list whose order AWS doesn't guarantee."""
    if member in response:
        response[member] = sorted(response[member], key=key)
    return response


def ecs_script():
    step("cluster/create", ecs.create_cluster, clusterName="c")
    step("cluster/create again", ecs.create_cluster, clusterName="c")
    step("cluster/describe", ecs.describe_clusters, clusters=["c", "none"])
    step("cluster/list", ecs.list_clusters)
    definition = dict(
        family="f", networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="1024", memory="2048",
        containerDefinitions=[{"name": "jvb", "image": "jitsi/jvb", "cpu": 1024, "memory": 2048}],
    )
    step("definition/register", ecs.register_task_definition, **definition)
    step("definition/register again", ecs.register_task_definition, **definition)
    step("definition/describe", ecs.describe_task_definition, taskDefinition="f")
    step("definition/describe unknown", ecs.describe_task_definition, taskDefinition="none")
    step("definition/list", ecs.list_task_definitions, familyPrefix="f")
    network = {"awsvpcConfiguration": {"subnets": [SUBNET], "securityGroups": []}}
    service = dict(
        serviceName="s", taskDefinition="f", desiredCount=0, launchType="FARGATE", networkConfiguration=network,
    )
    arn = step("service/create", ecs.create_service, cluster="c", **service)["service"]["serviceArn"]
    step("service/create again", ecs.create_service, cluster="c", **service)
    step("service/create in unknown", ecs.create_service, cluster="none", **service)
    step("service/create of unknown", ecs.create_service, cluster="c", **{**service, "serviceName": "t", "taskDefinition": "none"})
    step("service/describe", ecs.describe_services, cluster="c", services=["s", "none"])
    step("service/describe empty", ecs.describe_services, cluster="c")
    step("service/describe in unknown", ecs.describe_services, cluster="none", services=["s"])
    step("service/describe eleven", ecs.describe_services, cluster="c", services=[f"s{i}" for i in range(11)])
    step("service/list", ecs.list_services, cluster="c")
    step("service/update unknown", ecs.update_service, cluster="c", service="none", desiredCount=0)
    step("service/update", ecs.update_service, cluster="c", service="s", desiredCount=0)
    step("tags/set", ecs.tag_resource, resourceArn=arn, tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
    step("tags/list", ecs.list_tags_for_resource, resourceArn=arn)
    step("service/describe with tags", ecs.describe_services, cluster="c", services=["s"], include=["TAGS"])
    step("tags/unset", ecs.untag_resource, resourceArn=arn, tagKeys=["a", "none"])
    step("tags/list again", ecs.list_tags_for_resource, resourceArn=arn)
    run = dict(cluster="c", taskDefinition="f", launchType="FARGATE", networkConfiguration=network, count=1)
    task = step("task/run", ecs.run_task, group="service:other", **run)["tasks"][0]["taskArn"]
    step("task/list of unknown", ecs.list_tasks, cluster="c", serviceName="none")
    step("task/describe empty", ecs.describe_tasks, cluster="c")
    step("task/run in unknown", ecs.run_task, **{**run, "cluster": "none"})
    until("the task runs", ecs.describe_tasks, lambda response: response["tasks"][0]["lastStatus"] == "RUNNING", cluster="c", tasks=[task])
    step("task/list", ecs.list_tasks, cluster="c")
    step("task/list stopped", ecs.list_tasks, cluster="c", desiredStatus="STOPPED")
    step("task/list in unknown", ecs.list_tasks, cluster="none")
    step("task/describe", ecs.describe_tasks, cluster="c", tasks=[task])
    missing = task[:-32] + "0" * 32
    step("task/describe unknown", ecs.describe_tasks, cluster="c", tasks=[missing])
    step("task/stop unknown", ecs.stop_task, cluster="c", task=missing)
    step("task/stop", ecs.stop_task, cluster="c", task=task, reason="enough")
    until("the task stops", ecs.describe_tasks, lambda response: response["tasks"][0]["lastStatus"] == "STOPPED", cluster="c", tasks=[task])
    step("task/describe stopped", ecs.describe_tasks, cluster="c", tasks=[task])
    step("service/delete", ecs.delete_service, cluster="c", service="s")
    step("service/delete again", ecs.delete_service, cluster="c", service="none")
    until("the service is inactive", ecs.describe_services, lambda response: response["services"][0]["status"] == "INACTIVE", cluster="c", services=["s"])
    step("service/describe deleted", ecs.describe_services, cluster="c", services=["s"])
    step("cluster/delete", ecs.delete_cluster, cluster="c")
    step("service/describe in deleted", ecs.describe_services, cluster="c", services=["s"])
    step("cluster/delete unknown", ecs.delete_cluster, cluster="none")


def elb_script():
    create = dict(Name="b", Type="network", Subnets=[SUBNET], Tags=[{"Key": "Lifecycle", "Value": "on-demand"}])
    load_balancer = step("load-balancer/create", elb.create_load_balancer, **create)["LoadBalancers"][0]["LoadBalancerArn"]
    until(
        "the load balancer is active", elb.describe_load_balancers,
        lambda response: response["LoadBalancers"][0]["State"]["Code"] == "active", Names=["b"],
    )
    step("load-balancer/describe by name", elb.describe_load_balancers, Names=["b"])
    step("load-balancer/describe by arn", elb.describe_load_balancers, LoadBalancerArns=[load_balancer])
    step("load-balancer/describe all", elb.describe_load_balancers)
    step("load-balancer/describe unknown", elb.describe_load_balancers, Names=["none"])
    step("load-balancer/describe unknown arn", elb.describe_load_balancers, LoadBalancerArns=[load_balancer[:-16] + "0" * 16])

    group = dict(Name="g", Protocol="UDP", Port=10000, VpcId=VPC, TargetType="ip", HealthCheckProtocol="TCP", HealthCheckPort="8080")
    arn = step("target-group/create", elb.create_target_group, **group)["TargetGroups"][0]["TargetGroupArn"]
    step("target-group/create conflicting", elb.create_target_group, **{**group, "Port": 10001})
    step("target-group/describe by name", elb.describe_target_groups, Names=["g"])
    step("target-group/describe unknown", elb.describe_target_groups, Names=["none"])
    action = [{"Type": "forward", "TargetGroupArn": arn}]
    listener = dict(LoadBalancerArn=load_balancer, Protocol="UDP", Port=10000, DefaultActions=action)
    step("listener/create", elb.create_listener, **listener)
    unknown = load_balancer[:-16] + "0" * 16
    step("listener/create on unknown", elb.create_listener, **{**listener, "LoadBalancerArn": unknown})
    step("listener/describe", elb.describe_listeners, LoadBalancerArn=load_balancer)
    step("listener/describe unknown", elb.describe_listeners, LoadBalancerArn=unknown)
    step("target-group/describe by load balancer", elb.describe_target_groups, LoadBalancerArn=load_balancer)
    step("target-group/describe by unknown", elb.describe_target_groups, LoadBalancerArn=unknown)
    step("listener/create again", elb.create_listener, **listener)
    step("target-group/delete in use", elb.delete_target_group, TargetGroupArn=arn)

    web = step(
        "target-group/create web", elb.create_target_group, Name="w", Protocol="TCP", Port=8000, VpcId=VPC, TargetType="ip",
        HealthCheckProtocol="HTTP", HealthCheckPath="/", Matcher={"HttpCode": "200"},
    )["TargetGroups"][0]["TargetGroupArn"]
    # moto checks certificates of ACM, but not those of IAM.
    certificate = {"CertificateArn": "arn:aws:iam::111122223333:server-certificate/meet"}
    tls = dict(
        LoadBalancerArn=load_balancer, Protocol="TLS", Port=443, Certificates=[certificate],
        SslPolicy="ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
        DefaultActions=[{"Type": "forward", "TargetGroupArn": web}],
    )
    created = step("tls/create", elb.create_listener, **tls)["Listeners"][0]["ListenerArn"]
    step("tls/describe", elb.describe_listeners, ListenerArns=[created])
    step("tls/modify", elb.modify_listener, ListenerArn=created, SslPolicy="ELBSecurityPolicy-TLS13-1-3-2021-06")
    step("tls/describe attributes", elb.describe_listener_attributes, ListenerArn=created)
    step("tls/delete", elb.delete_listener, ListenerArn=created)
    step("tls/describe deleted", elb.describe_listeners, ListenerArns=[created])
    step("tls/create without certificate", elb.create_listener, **{**tls, "Port": 444, "Certificates": []})
    step("tls/create with two certificates", elb.create_listener, **{**tls, "Port": 445, "Certificates": [certificate] * 2})
    step("tls/create with unknown policy", elb.create_listener, **{**tls, "Port": 446, "SslPolicy": "Nonsense"})
    step("tls/create for udp", elb.create_listener, **{**tls, "Port": 447, "DefaultActions": action})
    step("tls/create with tcp", elb.create_listener, **{**tls, "Port": 448, "Protocol": "TCP"})

    step("target-group/describe by invalid", elb.describe_target_groups, TargetGroupArns=["nonsense"])
    step("target-group/modify", elb.modify_target_group, TargetGroupArn=arn, HealthCheckIntervalSeconds=10, HealthyThresholdCount=3)
    step("target-group/modify unknown", elb.modify_target_group, TargetGroupArn=arn[:-16] + "0" * 16, HealthyThresholdCount=3)
    delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": "60"}]
    step("target-group/modify attributes", elb.modify_target_group_attributes, TargetGroupArn=arn, Attributes=delay)
    step("target-group/describe attributes", elb.describe_target_group_attributes, TargetGroupArn=arn)
    created = elb.describe_listeners(LoadBalancerArn=load_balancer)["Listeners"][0]["ListenerArn"]
    step("listener/rules", elb.describe_rules, ListenerArn=created)
    step("listener/rules of unknown", elb.describe_rules, ListenerArn=created[:-16] + "0" * 16)
    step("listener/modify", elb.modify_listener, ListenerArn=created, Port=10001)
    step("listener/modify back", elb.modify_listener, ListenerArn=created, Port=10000, DefaultActions=[
        {"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": arn}]}},
    ])
    step("listener/modify unknown", elb.modify_listener, ListenerArn=created[:-16] + "0" * 16, Port=10001)
    step("listener/describe attributes", elb.describe_listener_attributes, ListenerArn=created)
    step("load-balancer/subnets", elb.set_subnets, LoadBalancerArn=load_balancer, Subnets=[SUBNET])
    step("load-balancer/capacity", elb.describe_capacity_reservation, LoadBalancerArn=load_balancer)

    targets = [{"Id": "10.0.0.1"}, {"Id": "10.0.0.2", "Port": 10000}]
    step("targets/register", elb.register_targets, TargetGroupArn=arn, Targets=targets)
    step("targets/register again", elb.register_targets, TargetGroupArn=arn, Targets=targets[:1])
    step("targets/register invalid", elb.register_targets, TargetGroupArn=arn, Targets=[{"Id": "nonsense"}])
    try:
        elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": "nonsense"}])
    except ClientError:
        pass  # only moto has registered it, as the step before shows
    step("targets/register in unknown", elb.register_targets, TargetGroupArn=arn[:-16] + "0" * 16, Targets=targets)
    by_id = lambda **a: sort_member(
        elb.describe_target_health(**a), "TargetHealthDescriptions", lambda d: d["Target"]["Id"]
    )
    until(
        "the first health check results", elb.describe_target_health,
        lambda response: all(d["TargetHealth"]["State"] != "initial" for d in response["TargetHealthDescriptions"]),
        TargetGroupArn=arn,
    )
    step("targets/health", by_id, TargetGroupArn=arn)
    step("targets/health of one", by_id, TargetGroupArn=arn, Targets=[{"Id": "10.0.0.1"}])
    step("targets/health of unregistered", by_id, TargetGroupArn=arn, Targets=[{"Id": "10.0.0.9"}])
    step("targets/health in unknown", by_id, TargetGroupArn=arn[:-16] + "0" * 16)
    step("targets/deregister", elb.deregister_targets, TargetGroupArn=arn, Targets=[{"Id": "10.0.0.1"}])
    step("targets/deregister unregistered", elb.deregister_targets, TargetGroupArn=arn, Targets=[{"Id": "10.0.0.9"}])
    until(
        "the target has drained", elb.describe_target_health,
        lambda response: [d["Target"]["Id"] for d in response["TargetHealthDescriptions"]] == ["10.0.0.2"], TargetGroupArn=arn,
    )

    tags = [{"Key": "k", "Value": "a + b: /ü@"}, {"Key": "empty", "Value": ""}]
    step("tags/add", elb.add_tags, ResourceArns=[load_balancer, arn], Tags=tags)

    def describe_tags(**arguments):
        return sort_member(elb.describe_tags(**arguments), "TagDescriptions", lambda description: "targetgroup" in description["ResourceArn"])

    step("tags/describe", describe_tags, ResourceArns=[load_balancer, arn])
    step("tags/remove", elb.remove_tags, ResourceArns=[load_balancer, arn], TagKeys=["k", "none"])
    step("tags/describe again", describe_tags, ResourceArns=[load_balancer, arn])
    step("tags/add to unknown", elb.add_tags, ResourceArns=[unknown], Tags=tags)
    step("tags/describe unknown", describe_tags, ResourceArns=[unknown])

    protection = lambda value: [{"Key": "deletion_protection.enabled", "Value": value}]
    step("attributes/modify", elb.modify_load_balancer_attributes, LoadBalancerArn=load_balancer, Attributes=protection("true"))
    step("load-balancer/delete protected", elb.delete_load_balancer, LoadBalancerArn=load_balancer)
    step("attributes/describe of unknown", elb.describe_load_balancer_attributes, LoadBalancerArn=unknown)
    try:
        elb.modify_load_balancer_attributes(LoadBalancerArn=load_balancer, Attributes=protection("false"))
    except ClientError:
        pass  # moto has deleted it in spite of the protection, as the step before shows
    step("load-balancer/delete", elb.delete_load_balancer, LoadBalancerArn=load_balancer)
    step("load-balancer/delete again", elb.delete_load_balancer, LoadBalancerArn=load_balancer)
    step("load-balancer/describe deleted", elb.describe_load_balancers, Names=["b"])

    def delete_target_group(**arguments):
        end = time.monotonic() + 20
        while True:
            try:
                return elb.delete_target_group(**arguments)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ResourceInUse" or time.monotonic() > end:
                    raise
                time.sleep(0.05)
    step("target-group/delete", delete_target_group, TargetGroupArn=arn)
    step("target-group/delete again", elb.delete_target_group, TargetGroupArn=arn)
    step("target-group/describe deleted", elb.describe_target_groups, TargetGroupArns=[arn])
    # From here on moto creates what AWS refuses.
    elb.create_load_balancer(**create)
    step("load-balancer/create conflicting", elb.create_load_balancer, **{**create, "Scheme": "internal"})
    step("load-balancer/create with long name", elb.create_load_balancer, **{**create, "Name": "n" * 33})


def sqs_script():
    dead_letter_queue = step("queue/create dead-letter", sqs.create_queue, QueueName="d")["QueueUrl"]
    dead_letter_arn = sqs.get_queue_attributes(QueueUrl=dead_letter_queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": dead_letter_arn, "maxReceiveCount": 2})
    attributes = {"VisibilityTimeout": "30", "RedrivePolicy": redrive}
    url = step("queue/create", sqs.create_queue, QueueName="q", Attributes=attributes)["QueueUrl"]
    step("queue/create again", sqs.create_queue, QueueName="q", Attributes=attributes)
    step("queue/create conflicting", sqs.create_queue, QueueName="q", Attributes={"VisibilityTimeout": "31"})
    step("queue/create invalid", sqs.create_queue, QueueName="n n")
    step("queue/url", sqs.get_queue_url, QueueName="q")
    step("queue/url of unknown", sqs.get_queue_url, QueueName="none")
    step("queue/list", lambda **a: sort_member(sqs.list_queues(**a), "QueueUrls", str))
    step("queue/sources", sqs.list_dead_letter_source_queues, QueueUrl=dead_letter_queue)
    step("queue/sources of unknown", sqs.list_dead_letter_source_queues, QueueUrl=dead_letter_queue + "none")
    step("queue/list by prefix", sqs.list_queues, QueueNamePrefix="d")
    step("queue/list unknown", sqs.list_queues, QueueNamePrefix="none")
    step("queue/attributes", sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["All"])
    step("queue/attributes unknown", sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["Nonsense"])
    step("queue/attributes of unknown", sqs.get_queue_attributes, QueueUrl=url + "none", AttributeNames=["All"])
    step("queue/set attributes", sqs.set_queue_attributes, QueueUrl=url, Attributes={"VisibilityTimeout": "60"})
    step("queue/one attribute", sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["VisibilityTimeout"])

    step("message/send", sqs.send_message, QueueUrl=url, MessageBody="hello")
    step("message/send to unknown", sqs.send_message, QueueUrl=url + "none", MessageBody="x")
    receive = dict(QueueUrl=url, AttributeNames=["ApproximateReceiveCount"])
    handle = step("message/receive", sqs.receive_message, **receive)["Messages"][0]["ReceiptHandle"]
    step("message/receive empty", sqs.receive_message, **receive)
    step("message/receive from unknown", sqs.receive_message, QueueUrl=url + "none")
    step("message/receive eleven", sqs.receive_message, QueueUrl=url, MaxNumberOfMessages=11)
    step("message/in flight", sqs.get_queue_attributes, QueueUrl=url, AttributeNames=[
        "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed",
    ])
    step("message/visibility", sqs.change_message_visibility, QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
    step("message/visibility too long", sqs.change_message_visibility, QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=43201)
    step("message/visibility invalid", sqs.change_message_visibility, QueueUrl=url, ReceiptHandle="x", VisibilityTimeout=0)
    handle = step("message/receive again", sqs.receive_message, **receive)["Messages"][0]["ReceiptHandle"]
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
    step("redrive/receive a third time", sqs.receive_message, **receive)
    redriven = step("redrive/receive the dead letter", sqs.receive_message, QueueUrl=dead_letter_queue)["Messages"][0]["ReceiptHandle"]
    step("message/delete", sqs.delete_message, QueueUrl=dead_letter_queue, ReceiptHandle=redriven)
    step("message/delete again", sqs.delete_message, QueueUrl=dead_letter_queue, ReceiptHandle=redriven)
    step("message/delete invalid", sqs.delete_message, QueueUrl=url, ReceiptHandle="x")

    entries = [{"Id": f"m{i}", "MessageBody": f"body {i}"} for i in range(3)]
    send = lambda entries: dict(QueueUrl=url, Entries=entries)
    step("batch/send", sqs.send_message_batch, **send(entries))
    step("batch/send empty", sqs.send_message_batch, **send([]))
    step("batch/send eleven", sqs.send_message_batch, **send([{"Id": f"m{i}", "MessageBody": "x"} for i in range(11)]))
    step("batch/send twice the same id", sqs.send_message_batch, **send([entries[0], entries[0]]))
    step("batch/send bad id", sqs.send_message_batch, **send([{"Id": "a b", "MessageBody": "x"}]))
    received = []
    while len(received) < 3:
        received += sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    handles = [message["ReceiptHandle"] for message in received]
    step("batch/visibility", sqs.change_message_visibility_batch, QueueUrl=url, Entries=[
        {"Id": "one", "ReceiptHandle": handles[0], "VisibilityTimeout": 100},
        {"Id": "two", "ReceiptHandle": "x", "VisibilityTimeout": 100},
    ])
    step("batch/delete", sqs.delete_message_batch, QueueUrl=url, Entries=[
        {"Id": "one", "ReceiptHandle": handles[0]}, {"Id": "two", "ReceiptHandle": "x"},
    ])
    step("batch/delete empty", sqs.delete_message_batch, QueueUrl=url, Entries=[])
    step("batch/delete same id", sqs.delete_message_batch, QueueUrl=url, Entries=[
        {"Id": "one", "ReceiptHandle": handles[1]}, {"Id": "one", "ReceiptHandle": handles[2]},
    ])
    step("tags/set", sqs.tag_queue, QueueUrl=url, Tags={"a": "1", "b": "2"})
    step("tags/list", sqs.list_queue_tags, QueueUrl=url)
    step("tags/unset", sqs.untag_queue, QueueUrl=url, TagKeys=["a"])
    step("tags/list again", sqs.list_queue_tags, QueueUrl=url)
    step("queue/purge", sqs.purge_queue, QueueUrl=url)
    step("queue/delete", sqs.delete_queue, QueueUrl=dead_letter_queue)
    step("queue/url of deleted", sqs.get_queue_url, QueueName="d")
    # From here on moto accepts what AWS refuses.
    sqs.send_message(QueueUrl=url, MessageBody="hello")
    handle = sqs.receive_message(QueueUrl=url)["Messages"][0]["ReceiptHandle"]
    step("message/visibility negative", sqs.change_message_visibility, QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=-1)
    step("message/visibility missing", sqs.change_message_visibility, QueueUrl=url, ReceiptHandle=handle)
    step("message/delete missing", sqs.delete_message, QueueUrl=url)
    step("message/receive negative", sqs.receive_message, QueueUrl=url, VisibilityTimeout=-1)
    # A message for moto, which accepts the wait time and would wait.
    sqs.send_message(QueueUrl=url, MessageBody="hello")
    step("message/receive wait too long", sqs.receive_message, QueueUrl=url, WaitTimeSeconds=21)
    step("message/send empty", sqs.send_message, QueueUrl=url, MessageBody="")
    step("queue/create unknown attribute", sqs.create_queue, QueueName="u", Attributes={"Nonsense": "1"})


def events_script():
    url = sqs.create_queue(QueueName="e")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = json.dumps({"source": ["my.app"], "detail": {"state": ["on", {"prefix": "o"}]}})
    rule = step("rule/put", events.put_rule, Name="r", EventPattern=pattern)["RuleArn"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage",
            "Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
        }],
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    step("rule/put invalid", events.put_rule, Name="bad", EventPattern="{")
    step("rule/describe", events.describe_rule, Name="r")
    step("rule/describe unknown", events.describe_rule, Name="none")
    step("rule/list", events.list_rules)
    step("rule/list by prefix", events.list_rules, NamePrefix="none")
    step("targets/put", events.put_targets, Rule="r", Targets=[{"Id": "queue", "Arn": arn}])
    step("targets/put on unknown", events.put_targets, Rule="none", Targets=[{"Id": "queue", "Arn": arn}])
    step("targets/put empty", events.put_targets, Rule="r", Targets=[])
    step("targets/put with dead letters", events.put_targets, Rule="r", Targets=[
        {"Id": "queue", "Arn": arn, "DeadLetterConfig": {"Arn": arn}, "RetryPolicy": {"MaximumRetryAttempts": 3}},
    ])
    step("tags/set", events.tag_resource, ResourceARN=rule, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    step("tags/unset", events.untag_resource, ResourceARN=rule, TagKeys=["a", "none"])
    step("tags/list", events.list_tags_for_resource, ResourceARN=rule)
    step("tags/list of unknown", events.list_tags_for_resource, ResourceARN=rule + "none")
    step("targets/list", events.list_targets_by_rule, Rule="r")
    step("targets/rules by", events.list_rule_names_by_target, TargetArn=arn)
    step("targets/rules by unknown", events.list_rule_names_by_target, TargetArn=arn + "none")
    step("targets/list of unknown", events.list_targets_by_rule, Rule="none")
    event = dict(Source="my.app", DetailType="t", Detail=json.dumps({"state": "on"}), Resources=["x"])
    step("events/put", events.put_events, Entries=[event])
    received = until("the event arrives", sqs.receive_message, lambda response: "Messages" in response, QueueUrl=url, WaitTimeSeconds=1)
    step("events/arrived", lambda: {"Body": received["Messages"][0]["Body"]})
    step("events/put without source", events.put_events, Entries=[{k: v for k, v in event.items() if k != "Source"}])
    step("events/put bad detail", events.put_events, Entries=[{**event, "Detail": "{"}])
    step("events/put as aws", events.put_events, Entries=[{**event, "Source": "aws.ecs"}])
    step("events/put empty", events.put_events, Entries=[])
    full = {
        "id": "1", "account": "123456789012", "time": "2026-01-01T00:00:00Z", "region": REGION, "resources": ["a"],
        "source": "aws.ecs", "detail-type": "ECS Task State Change",
        "detail": {"lastStatus": "RUNNING", "group": "service:s", "version": 3, "nested": {"a": [1, 2]}},
    }
    for name, pattern in {
        "exact": {"source": ["aws.ecs"]},
        "exact other": {"source": ["aws.ec2"]},
        "nested": {"detail": {"lastStatus": ["STOPPED", "RUNNING"]}},
        "prefix": {"detail": {"group": [{"prefix": "service:"}]}},
        "prefix other": {"detail": {"group": [{"prefix": "family:"}]}},
        "suffix": {"detail": {"group": [{"suffix": ":s"}]}},
        "anything-but": {"detail": {"lastStatus": [{"anything-but": "STOPPED"}]}},
        "anything-but many": {"detail": {"lastStatus": [{"anything-but": ["STOPPED", "RUNNING"]}]}},
        "exists": {"detail": {"stopCode": [{"exists": False}]}},
        "exists other": {"detail": {"stopCode": [{"exists": True}]}},
        "number": {"detail": {"version": [3]}},
        "list": {"detail": {"nested": {"a": [2]}}},
        "two": {"source": ["aws.ecs"], "detail": {"lastStatus": ["STOPPED"]}},
    }.items():
        step(f"pattern/{name}", events.test_event_pattern, EventPattern=json.dumps(pattern), Event=json.dumps(full))
    step("pattern/invalid", events.test_event_pattern, EventPattern="{", Event=json.dumps(full))
    step("rule/disable", events.disable_rule, Name="r")
    step("rule/describe disabled", events.describe_rule, Name="r")
    step("rule/enable", events.enable_rule, Name="r")
    step("rule/enable unknown", events.enable_rule, Name="none")
    step("rule/delete in use", events.delete_rule, Name="r")
    step("targets/remove", events.remove_targets, Rule="r", Ids=["queue", "none"])
    step("rule/delete", events.delete_rule, Name="r")
    step("rule/delete again", events.delete_rule, Name="r")


def sts_script():
    step("caller", sts.get_caller_identity)


def put_flow_counts(dimensions):
    """Puts three data points of zero, unless the server reports such points by itself, as the sandbox does."""
    now = datetime.datetime.now(datetime.timezone.utc)
    data = [
        {"MetricName": "ActiveFlowCount", "Dimensions": dimensions, "Timestamp": now - datetime.timedelta(seconds=age), "Value": 0}
        for age in (3, 2, 1)
    ]
    try:
        cloudwatch.put_metric_data(Namespace="AWS/NetworkELB", MetricData=data)
    except ClientError as error:
        if error.response["Error"]["Code"] != "UnknownOperationException":
            raise


def cloudwatch_script():
    created = elb.create_load_balancer(Name="b", Type="network", Subnets=[SUBNET])
    name = created["LoadBalancers"][0]["LoadBalancerArn"].split(":loadbalancer/")[1]
    dimensions = [{"Name": "LoadBalancer", "Value": name}]
    put_flow_counts(dimensions)
    now = datetime.datetime.now(datetime.timezone.utc)
    # With a period of a day all data points are one.
    day = dict(StartTime=now - datetime.timedelta(hours=12), EndTime=now + datetime.timedelta(hours=11))

    def query(id, metric="ActiveFlowCount", stat="Maximum", period=86400, dimensions=dimensions, **members):
        metric = {"Namespace": "AWS/NetworkELB", "MetricName": metric, "Dimensions": dimensions}
        return {"Id": id, "MetricStat": {"Metric": metric, "Period": period, "Stat": stat}, **members}

    def get(step_name, *queries, **members):
        return step(step_name, cloudwatch.get_metric_data, MetricDataQueries=list(queries), **{**day, **members})

    # With a period of a second, each of the sandbox's data points is one too, since its minutes are a second long.
    seconds = dict(MetricDataQueries=[query("m", period=1)], **day)
    until("data points", cloudwatch.get_metric_data, lambda response: len(response["MetricDataResults"][0]["Values"]) >= 3, **seconds)
    get("get/statistics", *[query(stat.lower(), stat=stat, Label="l") for stat in ("Average", "Maximum", "Minimum", "Sum")])
    get("get/default label", query("m"))
    get("get/some", query("a", Label="l", ReturnData=False), query("b", Label="l", ReturnData=True))
    get("get/order of queries", query("z", Label="l"), query("y", Label="l"))
    get("get/unknown metric", query("m", metric="None", Label="l"))
    get("get/other dimensions", query("m", dimensions=[{"Name": "LoadBalancer", "Value": "net/x/0"}], Label="l"))
    get("get/unit", {"Id": "m", "Label": "l", "MetricStat": {**query("m")["MetricStat"], "Unit": "Bytes"}})
    get("get/before", query("m", Label="l"), EndTime=now - datetime.timedelta(hours=1))
    for order in ("TimestampAscending", "TimestampDescending", None):
        scan = {"ScanBy": order} if order else {}
        times = cloudwatch.get_metric_data(**seconds, **scan)["MetricDataResults"][0]["Timestamps"]
        step(f"order/{order}", lambda: {"IsAscending": times == sorted(times), "IsDescending": times == sorted(times)[::-1]})
    # Three data points and more, at most two in a page.
    step("page/first", lambda: {"Next": "NextToken" in cloudwatch.get_metric_data(**seconds, MaxDatapoints=2)})
    get("page/invalid token", query("m"), NextToken="none")
    get("invalid/no queries")
    get("invalid/many queries", *[query(f"m{index}") for index in range(501)])
    get("invalid/equal times", query("m"), StartTime=now, EndTime=now)
    get("invalid/reversed times", query("m"), StartTime=now, EndTime=now - datetime.timedelta(hours=1))
    get("invalid/no statistic", {"Id": "m"})
    get("invalid/id", query("M"))
    get("invalid/ids", query("m"), query("m"))
    get("invalid/both", {**query("m"), "Expression": "m * 2"})
    get("invalid/expression", query("m"), {"Id": "e", "Expression": "m * 2"})
    get("invalid/period", query("m", period=90))
    get("invalid/order", query("m"), ScanBy="Newest")


def models_script():
    """Sends no requests; prints the required members in AWS's own models of the services."""
    for prefix, client in {"cloudwatch": cloudwatch, "ecs": ecs, "elasticloadbalancing": elb, "sqs": sqs, "events": events, "sts": sts}.items():
        model = client.meta.service_model
        shapes = {name: model.operation_model(name).input_shape for name in model.operation_names}
        required = {name: sorted(shape.required_members if shape else []) for name, shape in shapes.items()}
        print(json.dumps({"step": prefix, "required": required}))


SCRIPTS = {
    "ecs": ecs_script, "elb": elb_script, "sqs": sqs_script, "events": events_script, "sts": sts_script,
    "cloudwatch": cloudwatch_script,
    "models": models_script,
}
SCRIPTS[SCRIPT]()
