#!/usr/bin/env python3
"""A stand-in for terraform on the PATH. It creates the platform's load balancer over the endpoint in the environment, in
terraform's order, idempotently, and removes the tags that it doesn't know; or it destroys the load balancer.

jvb.json in the directory of -chdir says what it creates: `groups` are the target groups with their listeners, `record` is
the name of a DNS record. It writes the record to record.json and to the control API of the sandbox at the URL `sandbox`,
which has no Route 53. The file also says how it misbehaves: `fail` is an error to end with, `pause` how many seconds to
wait once the load balancer exists. `arguments` are those that it must have got beside the command and -auto-approve. The
file `lock` exists while it runs."""

import json
import os
import pathlib
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree

directory = next(argument for argument in sys.argv if argument.startswith("-chdir=")).split("=", 1)[1]
verb = next(argument for argument in sys.argv[1:] if not argument.startswith("-"))
plan = json.loads((pathlib.Path(directory) / "jvb.json").read_text())
project = plan["project"]
if verb == "apply":
    assert sys.argv[3:] == ["-auto-approve", *plan.get("arguments", [])], sys.argv
record_file = pathlib.Path(directory) / "record.json"

# The groups of the platform's design; the listener has the group's protocol and port unless it says otherwise.
DESIGN = [
    {"name": f"{project}-jvb-udp", "protocol": "UDP", "port": 10000},
    {"name": f"{project}-jvb-tcp-tg", "protocol": "TCP", "port": 4443},
]
GROUPS = plan.get("groups", DESIGN)
TAGS = {"Tags.member.1.Key": "Lifecycle", "Tags.member.1.Value": "on-demand"}


def call(action, **parameters):
    body = urllib.parse.urlencode({"Action": action, "Version": "2015-12-01", **parameters}).encode()
    scope = "Credential=AKIAEXAMPLE/20260101/eu-central-1/elasticloadbalancing/aws4_request"
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    request = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"] + "/", body, headers)
    try:
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{action}: {error.read().decode()}") from error
    tree = ElementTree.fromstring(text)
    for element in tree.iter():
        element.tag = element.tag.split("}")[-1]
    return tree


def found(action, key, name, path):
    try:
        return call(action, **{"Names.member.1": name}).findtext(f".//{path}")
    except RuntimeError as error:
        if "NotFound" in str(error):
            return None
        raise


def reset_tags(arn):
    tags = [tag.findtext("Key") for tag in call("DescribeTags", **{"ResourceArns.member.1": arn}).findall(".//Tags/member")]
    unknown = [key for key in tags if key != "Lifecycle"]
    if unknown:
        keys = {f"TagKeys.member.{number}": key for number, key in enumerate(unknown, 1)}
        call("RemoveTags", **{"ResourceArns.member.1": arn}, **keys)


def apply():
    load_balancer = found("DescribeLoadBalancers", "Names", f"{project}-jvb-nlb", "LoadBalancerArn")
    if load_balancer is None:
        subnets = {f"Subnets.member.{number}": subnet for number, subnet in enumerate(plan["subnets"], 1)}
        made = call("CreateLoadBalancer", Name=f"{project}-jvb-nlb", Type="network", **subnets, **TAGS)
        load_balancer = made.findtext(".//LoadBalancerArn")
        print("module.jvb_nlb.aws_lb.jvb: Creation complete", flush=True)
    else:
        reset_tags(load_balancer)
    time.sleep(plan.get("pause", 0))
    listeners = call("DescribeListeners", LoadBalancerArn=load_balancer).findall(".//Listeners/member/Port")
    ports = {listener.text for listener in listeners}
    for planned in GROUPS:
        group = found("DescribeTargetGroups", "Names", planned["name"], "TargetGroupArn")
        if group is None:
            made = call("CreateTargetGroup", Name=planned["name"], Protocol=planned["protocol"], Port=planned["port"],
                        VpcId=plan["vpc"], TargetType="ip", **planned.get("health_check", {}), **TAGS)
            group = made.findtext(".//TargetGroupArn")
            for key, value in planned.get("attributes", {}).items():
                attribute = {"Attributes.member.1.Key": key, "Attributes.member.1.Value": value}
                call("ModifyTargetGroupAttributes", TargetGroupArn=group, **attribute)
        else:
            reset_tags(group)
        listener = planned.get("listener", planned)
        if str(listener["port"]) not in ports:
            options = {"DefaultActions.member.1.Type": "forward", "DefaultActions.member.1.TargetGroupArn": group}
            if "certificate" in listener:
                options |= {"Certificates.member.1.CertificateArn": listener["certificate"], "SslPolicy": listener["policy"]}
            call("CreateListener", LoadBalancerArn=load_balancer, Protocol=listener["protocol"], Port=listener["port"], **options)
    if "record" in plan:
        name = found("DescribeLoadBalancers", "Names", f"{project}-jvb-nlb", "DNSName")
        record_file.write_text(json.dumps({plan["record"]: name}))
        act = {"act": "put-record", "name": plan["record"], "target": name}
        urllib.request.urlopen(plan["sandbox"] + "/_sandbox/act", json.dumps(act).encode()).close()
    print("\033[0m\033[1m\033[32m\nApply complete!\033[0m", flush=True)


def destroy():
    load_balancer = found("DescribeLoadBalancers", "Names", f"{project}-jvb-nlb", "LoadBalancerArn")
    if load_balancer is not None:
        call("DeleteLoadBalancer", LoadBalancerArn=load_balancer)
    for planned in GROUPS:
        for _ in range(100):
            group = found("DescribeTargetGroups", "Names", planned["name"], "TargetGroupArn")
            if group is None:
                break
            try:
                call("DeleteTargetGroup", TargetGroupArn=group)
            except RuntimeError as error:
                if "ResourceInUse" not in str(error):
                    raise
                time.sleep(0.1)
    print("Destroy complete!", flush=True)


def main():
    if "fail" in plan:
        sys.exit(f"\033[31m\033[1mError:\033[0m {plan['fail']}")
    lock = pathlib.Path(directory) / "lock"
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        sys.exit("Error: Error acquiring the state lock")
    try:
        {"apply": apply, "destroy": destroy}[verb]()
    except KeyboardInterrupt:
        sys.exit("Error: interrupted; the state is saved")
    finally:
        lock.unlink()


main()
