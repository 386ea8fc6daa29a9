"""Sends a request of every kind, and tells what each should be on the wire."""

from driver import Driver, tell

ROLE = "arn:aws:iam::123456789012:role/pull"
FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:agent"
SERVICE = "arn:aws:apprunner:eu-west-1:123456789012:service/agent/0123456789abcdef0123456789abcdef"
TAGS = [{"Key": "managed-by", "Value": "dockless"}, {"Key": "größe/1", "Value": "a + b = c"}]

REQUESTS = [
    ("apprunner", "CreateService", {
        "ServiceName": "agent",
        "SourceConfiguration": {
            "ImageRepository": {
                "ImageIdentifier": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/agent@sha256:" + 64 * "0",
                "ImageRepositoryType": "ECR",
                "ImageConfiguration": {"RuntimeEnvironmentVariables": {"A": "1"}, "Port": "8080"},
            },
            "AuthenticationConfiguration": {"AccessRoleArn": ROLE},
        },
        "Tags": TAGS,
    }),
    ("apprunner", "ListOperations", {"ServiceArn": SERVICE, "MaxResults": 5}),
    ("ecr", "CreateRepository", {"repositoryName": "acme/agent", "imageTagMutability": "IMMUTABLE", "tags": TAGS}),
    ("ecs", "CreateExpressGatewayService", {
        "serviceName": "agent",
        "executionRoleArn": ROLE,
        "infrastructureRoleArn": ROLE,
        "primaryContainer": {
            "image": "ghcr.io/acme/agent@sha256:" + 64 * "0",
            "containerPort": 8080,
            "environment": [{"name": "A", "value": "1"}],
        },
        "scalingTarget": {"minTaskCount": 1, "maxTaskCount": 2},
        "tags": [{"key": "a", "value": "b"}],
    }),
    ("iam", "CreateRole", {"RoleName": "pull", "AssumeRolePolicyDocument": '{"a": "b&c=d +"}', "Tags": TAGS}),
    ("iam", "CreateRole", {"RoleName": "pull", "AssumeRolePolicyDocument": "{}", "MaxSessionDuration": 3600, "Tags": []}),
    ("sts", "GetCallerIdentity", {}),
    ("lambda", "CreateFunction", {
        "FunctionName": "agent",
        "Role": ROLE,
        "PackageType": "Image",
        "Code": {"ImageUri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/agent@sha256:" + 64 * "0"},
        "Environment": {"Variables": {"AB": "1"}},
        "Timeout": 30,
        "Architectures": ["arm64"],
        "Tags": {"a": "b"},
    }),
    ("lambda", "AddPermission", {
        "FunctionName": "agent",
        "StatementId": "url",
        "Action": "lambda:InvokeFunctionUrl",
        "Principal": "*",
        "FunctionUrlAuthType": "NONE",
        "Qualifier": "live",
    }),
    ("lambda", "ListVersionsByFunction", {"FunctionName": "agent", "MaxItems": 50}),
    ("lambda", "GetFunction", {"FunctionName": FUNCTION, "Qualifier": "live"}),
    ("lambda", "UntagResource", {"Resource": FUNCTION, "TagKeys": ["a b", "c+d"]}),
    ("lambda", "DeleteAlias", {"FunctionName": "agent", "Name": "live"}),
    ("apigatewayv2", "CreateApi", {"Name": "agent", "ProtocolType": "HTTP", "Target": FUNCTION, "Tags": {"a": "b"}}),
    ("apigatewayv2", "GetApis", {"MaxResults": "10"}),
    ("logs", "FilterLogEvents", {"logGroupName": "/aws/lambda/agent", "startTime": 1700000000000, "limit": 100}),
    ("secretsmanager", "DescribeSecret", {"SecretId": "dockless/agent/KEY"}),
]

drivers = {service: Driver(service) for service, _, _ in REQUESTS}
for service, operation, members in REQUESTS:
    drivers[service](operation, **members)

# On the wire of these services members have other names.
NAMES = {"apigatewayv2": lambda name: name[0].lower() + name[1:], "lambda": lambda name: {"TagKeys": "tagKeys"}.get(name, name)}
tell([
    [operation, {NAMES.get(service, str)(name): member for name, member in members.items()}]
    for service, operation, members in REQUESTS
])
