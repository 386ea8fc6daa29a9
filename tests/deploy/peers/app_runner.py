"""Drives App Runner with boto3: a service from its creation to its end."""

import json

from driver import Driver, tell

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/agent@sha256:"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "build.apprunner.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}

iam, app_runner = Driver("iam"), Driver("apprunner")
role = iam("CreateRole", RoleName="pull", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]


def source(digit):
    repository = {"ImageIdentifier": IMAGE + 64 * digit, "ImageRepositoryType": "ECR", "ImageConfiguration": {"Port": "8080"}}
    return {
        "ImageRepository": repository,
        "AuthenticationConfiguration": {"AccessRoleArn": role},
        "AutoDeploymentsEnabled": False,
    }


def settle():
    """Looks until nothing goes on, as a waiter would."""
    for _ in range(9):
        latest = app_runner("ListOperations", **service)["OperationSummaryList"][0]
        if latest["Status"] not in ("PENDING", "IN_PROGRESS"):
            return


created = app_runner(
    "CreateService",
    ServiceName="agent",
    SourceConfiguration=source("0"),
    InstanceConfiguration={"Cpu": "1024", "Memory": "2048"},
    HealthCheckConfiguration={"Protocol": "HTTP", "Path": "/health"},
    Tags=[{"Key": "managed-by", "Value": "dockless"}],
)
service = {"ServiceArn": created["Service"]["ServiceArn"]}
resource = {"ResourceArn": created["Service"]["ServiceArn"]}
app_runner("UpdateService", SourceConfiguration=source("1"), **service)
settle()
app_runner("UpdateService", SourceConfiguration=source("1"), **service)
settle()
app_runner("DescribeService", **service)
app_runner("TagResource", Tags=[{"Key": "a", "Value": "b"}], **resource)
app_runner("ListTagsForResource", **resource)
app_runner("UntagResource", TagKeys=["a"], **resource)
app_runner("ListServices")
app_runner("ListAutoScalingConfigurations", AutoScalingConfigurationName="DefaultConfiguration")
app_runner("DeleteService", **service)
settle()
app_runner("ListServices")


def brief(operation, answer):
    """What of an answer the story is about."""
    if "Service" in answer and operation != "DescribeService":
        return [operation, answer["Service"]["Status"]]
    if "OperationSummaryList" in answer:
        return [operation, [[one["Type"], one["Status"]] for one in answer["OperationSummaryList"]]]
    return [operation, answer]


tell([brief(*told) for told in app_runner.answers])
