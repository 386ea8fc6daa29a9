"""Drives ECS Express Mode with boto3: a service from its creation to its end."""

import json

from driver import Driver, tell

IMAGE = "ghcr.io/acme/agent@sha256:"
TAGS = [{"key": "managed-by", "value": "dockless"}]

iam, ecs = Driver("iam"), Driver("ecs")


def role(name, principal):
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"}],
    }
    return iam("CreateRole", RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]


def container(digit):
    return {"image": IMAGE + 64 * digit, "containerPort": 8080, "environment": [{"name": "A", "value": "1"}]}


def settle():
    """Looks until the newest deployment is over."""
    for _ in range(9):
        latest = ecs("ListServiceDeployments", service=arn)["serviceDeployments"][-1]
        if latest["status"] not in ("PENDING", "IN_PROGRESS"):
            return latest


ecs("DescribeServices", services=["agent"])
members = {
    "serviceName": "agent",
    "executionRoleArn": role("run", "ecs-tasks.amazonaws.com"),
    "infrastructureRoleArn": role("balance", "ecs.amazonaws.com"),
    "primaryContainer": container("0"),
    "cpu": "1024",
    "memory": "2048",
    "healthCheckPath": "/health",
    "scalingTarget": {"minTaskCount": 1, "maxTaskCount": 2},
    "tags": TAGS,
}
arn = ecs("CreateExpressGatewayService", **members)["service"]["serviceArn"]
ecs("CreateExpressGatewayService", **members)
settle()
ecs("UpdateExpressGatewayService", serviceArn=arn, primaryContainer=container("1"))
latest = settle()
ecs("DescribeExpressGatewayService", serviceArn=arn, include=["TAGS"])
ecs("DescribeServiceDeployments", serviceDeploymentArns=[latest["serviceDeploymentArn"]])
ecs("DescribeServiceRevisions", serviceRevisionArns=[latest["targetServiceRevisionArn"]])
ecs("TagResource", resourceArn=arn, tags=[{"key": "a", "value": "b"}])
ecs("UntagResource", resourceArn=arn, tagKeys=["a"])
ecs("DeleteExpressGatewayService", serviceArn=arn)
ecs("DescribeServices", services=["agent"])
ecs("DescribeServices", services=["agent"])
ecs("DescribeServices", services=["agent"])


def brief(operation, answer):
    """What of an answer the story is about; what describes something is told in whole."""
    if operation == "ListServiceDeployments":
        return [operation, [one["status"] for one in answer["serviceDeployments"]]]
    if "service" in answer and not operation.startswith("Describe"):
        return [operation, answer["service"]["status"]]
    return [operation, answer]


tell([brief(*told) for told in ecs.answers])
