"""Drives Lambda, and API Gateway before it, with boto3: a function from its creation to its end."""

import json

from driver import Driver, tell

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/agent@sha256:"
AGENT = {"FunctionName": "agent"}
LIVE = {"FunctionName": "agent", "Name": "live"}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
TAGS = [{"Key": "managed-by", "Value": "dockless"}]

LOG = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/agent"

iam, functions, gateway, logs = Driver("iam"), Driver("lambda"), Driver("apigatewayv2"), Driver("logs")
role = iam("CreateRole", RoleName="run", AssumeRolePolicyDocument=json.dumps(TRUST), Tags=TAGS)["Role"]["Arn"]

functions("GetFunction", **AGENT)
functions(
    "CreateFunction",
    Role=role,
    PackageType="Image",
    Code={"ImageUri": IMAGE + 64 * "0"},
    Environment={"Variables": {"AB": "1"}},
    Architectures=["x86_64"],
    MemorySize=1024,
    Timeout=30,
    Tags={"managed-by": "dockless"},
    **AGENT,
)
functions("CreateFunction", Role=role, PackageType="Image", Code={"ImageUri": IMAGE + 64 * "0"}, **AGENT)
arn = functions("GetFunction", **AGENT)["Configuration"]["FunctionArn"]
functions("PublishVersion", Description="one", **AGENT)
functions("CreateAlias", FunctionVersion="1", **LIVE)
functions("CreateFunctionUrlConfig", Qualifier="live", AuthType="NONE", **AGENT)
functions(
    "AddPermission",
    StatementId="url",
    Action="lambda:InvokeFunctionUrl",
    Principal="*",
    FunctionUrlAuthType="NONE",
    Qualifier="live",
    **AGENT,
)
functions("GetPolicy", Qualifier="live", **AGENT)
functions("UpdateFunctionCode", ImageUri=IMAGE + 64 * "1", **AGENT)
functions("UpdateFunctionConfiguration", Timeout=60, **AGENT)
functions("PublishVersion", Description="two", **AGENT)
functions("UpdateAlias", FunctionVersion="2", **LIVE)
functions("ListVersionsByFunction", **AGENT)
functions("TagResource", Resource=arn, Tags={"a": "b"})
gateway("CreateApi", Name="agent", ProtocolType="HTTP", Target=arn + ":live", Tags={"managed-by": "dockless"})
gateway("GetApis")
logs("ListTagsForResource", resourceArn=LOG)
logs("TagResource", resourceArn=LOG, tags={"managed-by": "dockless"})
logs("ListTagsForResource", resourceArn=LOG)
logs("DeleteLogGroup", logGroupName="/aws/lambda/agent")
logs("ListTagsForResource", resourceArn=LOG)
functions("DeleteFunctionUrlConfig", Qualifier="live", **AGENT)
functions("DeleteFunction", **AGENT)
functions("GetFunction", **AGENT)


def brief(operation, answer):
    """What of an answer the story is about; a function is told in whole once, by `GetFunction`."""
    if "CodeSha256" in answer:
        answer = {name: answer[name] for name in ("Version", "CodeSha256", "Timeout", "State")}
    if "Versions" in answer:
        answer = [[one["Version"], one.get("Description")] for one in answer["Versions"]]
    return [operation, answer]


tell([brief(*told) for told in functions.answers + gateway.answers + logs.answers])
