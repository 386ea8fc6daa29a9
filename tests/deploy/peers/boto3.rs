//! AWS's own client at our fakes: they speak as AWS does.

use serde_json::json;

use super::drive;
use crate::fake::Running;
use crate::fakes::app_runner::AppRunner;
use crate::fakes::ecs_express::EcsExpress;
use crate::fakes::{aws, lambda};

#[tokio::test]
async fn boto3_takes_the_fake_for_app_runner() {
    let cloud = Running::start(aws::Aws::new(AppRunner::new())).await;
    let told = drive("app_runner.py", &cloud.url()).await;
    assert_eq!(cloud.wrong(), [""; 0]);
    let arn =
        "arn:aws:apprunner:eu-west-1:123456789012:service/agent/00000000000040008000000000000001";
    let image =
        format!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/agent@sha256:{}", "1".repeat(64));
    let scaling = json!({
        "AutoScalingConfigurationArn": "arn:aws:apprunner:eu-west-1:123456789012:autoscalingconfiguration/DefaultConfiguration/1/00000000000000000000000000000000",
        "AutoScalingConfigurationName": "DefaultConfiguration",
        "AutoScalingConfigurationRevision": 1,
        "Status": "ACTIVE",
    });
    let service = json!({
        "ServiceName": "agent",
        "ServiceId": "00000000000040008000000000000001",
        "ServiceArn": arn,
        "ServiceUrl": "00000000000040008000000000000001.eu-west-1.awsapprunner.com",
        "Status": "RUNNING",
        "CreatedAt": "2026-11-21T01:00:02+00:00",
        "UpdatedAt": "2026-11-21T01:00:02+00:00",
        "SourceConfiguration": {
            "AuthenticationConfiguration": {"AccessRoleArn": "arn:aws:iam::123456789012:role/pull"},
            "AutoDeploymentsEnabled": false,
            "ImageRepository": {
                "ImageConfiguration": {"Port": "8080"},
                "ImageIdentifier": image,
                "ImageRepositoryType": "ECR",
            },
        },
        "InstanceConfiguration": {"Cpu": "1024", "Memory": "2048"},
        "HealthCheckConfiguration": {"Path": "/health", "Protocol": "HTTP"},
        "NetworkConfiguration": {"IngressConfiguration": {"IsPubliclyAccessible": true}},
        "AutoScalingConfigurationSummary": scaling,
    });
    let listed = json!({
        "ServiceName": "agent",
        "ServiceId": "00000000000040008000000000000001",
        "ServiceArn": arn,
        "Status": "RUNNING",
    });
    let busy = json!({
        "error": "InvalidStateException",
        "message": "Service cannot be changed in the current state: OPERATION_IN_PROGRESS.",
    });
    let (created, updated) = (["CREATE_SERVICE", "SUCCEEDED"], ["UPDATE_SERVICE", "SUCCEEDED"]);
    assert_eq!(
        told,
        json!([
            ["CreateService", "OPERATION_IN_PROGRESS"],
            ["UpdateService", busy],
            ["ListOperations", [["CREATE_SERVICE", "IN_PROGRESS"]]],
            ["ListOperations", [["CREATE_SERVICE", "IN_PROGRESS"]]],
            ["ListOperations", [created]],
            ["UpdateService", "OPERATION_IN_PROGRESS"],
            ["ListOperations", [["UPDATE_SERVICE", "IN_PROGRESS"], created]],
            ["ListOperations", [["UPDATE_SERVICE", "IN_PROGRESS"], created]],
            ["ListOperations", [updated, created]],
            ["DescribeService", {"Service": service}],
            ["TagResource", {}],
            [
                "ListTagsForResource",
                {"Tags": [
                    {"Key": "a", "Value": "b"},
                    {"Key": "managed-by", "Value": "dockless"},
                ]},
            ],
            ["UntagResource", {}],
            ["ListServices", {"ServiceSummaryList": [listed]}],
            [
                "ListAutoScalingConfigurations",
                {"AutoScalingConfigurationSummaryList": [scaling]},
            ],
            ["DeleteService", "OPERATION_IN_PROGRESS"],
            ["ListOperations", [["DELETE_SERVICE", "IN_PROGRESS"], updated, created]],
            ["ListOperations", [["DELETE_SERVICE", "IN_PROGRESS"], updated, created]],
            ["ListOperations", [["DELETE_SERVICE", "SUCCEEDED"], updated, created]],
            ["ListServices", {"ServiceSummaryList": []}],
        ])
    );
}

#[tokio::test]
async fn boto3_takes_the_fake_for_lambda() {
    let cloud = Running::start(lambda::Aws::new()).await;
    cloud.with(|aws| aws.logs.insert("/aws/lambda/agent".into(), lambda::Log::default()));
    let told = drive("lambda.py", &cloud.url()).await;
    assert_eq!(cloud.wrong(), [""; 0]);
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:agent";
    let live = format!("{arn}:live");
    let [first, second] = ["0", "1"].map(|digit| digit.repeat(64));
    let image = format!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/agent@sha256:{first}");
    let time = "2026-11-21T20:00:00.000+0000";
    let missing = json!({"error": "ResourceNotFoundException", "message": "not found: agent"});
    let no_log = json!({
        "error": "ResourceNotFoundException", "message": "The specified log group does not exist.",
    });
    let exists =
        json!({"error": "ResourceConflictException", "message": "Function already exist: agent"});
    let function = json!({
        "Code": {"ImageUri": image, "RepositoryType": "ECR", "ResolvedImageUri": image},
        "Configuration": {
            "FunctionName": "agent",
            "FunctionArn": arn,
            "Role": "arn:aws:iam::123456789012:role/run",
            "PackageType": "Image",
            "Architectures": ["x86_64"],
            "CodeSha256": first,
            "CodeSize": 0,
            "Environment": {"Variables": {"AB": "1"}},
            "EphemeralStorage": {"Size": 512},
            "LastModified": time,
            "LastUpdateStatus": "Successful",
            "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/agent"},
            "MemorySize": 1024,
            "RevisionId": "revision-2",
            "State": "Active",
            "Timeout": 30,
            "Version": "$LATEST",
        },
        "Tags": {"managed-by": "dockless"},
    });
    let brief = |version: &str, digest: &str, timeout: u32| json!({"Version": version, "CodeSha256": digest, "Timeout": timeout, "State": "Active"});
    let alias = |version: &str, revision: &str| {
        json!({
            "AliasArn": live, "FunctionVersion": version, "Name": "live", "RevisionId": revision,
        })
    };
    let url = json!({
        "AuthType": "NONE",
        "CreationTime": time,
        "FunctionArn": live,
        "FunctionUrl": format!("https://{}.lambda-url.eu-west-1.on.aws/", "u".repeat(40)),
    });
    let statement = json!({
        "Sid": "url",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "lambda:InvokeFunctionUrl",
        "Resource": live,
        "Condition": {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}},
    });
    let policy = json!({"Version": "2012-10-17", "Id": "default", "Statement": [statement]});
    let api = json!({
        "ApiEndpoint": "https://api0.execute-api.eu-west-1.amazonaws.com",
        "ApiId": "api0",
        "Name": "agent",
        "ProtocolType": "HTTP",
        "RouteSelectionExpression": "$request.method $request.path",
        "Tags": {"managed-by": "dockless"},
    });
    assert_eq!(
        told,
        json!([
            ["GetFunction", missing],
            ["CreateFunction", brief("$LATEST", &first, 30)],
            ["CreateFunction", exists],
            ["GetFunction", function],
            ["PublishVersion", brief("1", &first, 30)],
            ["CreateAlias", alias("1", "revision-5")],
            ["CreateFunctionUrlConfig", url],
            ["AddPermission", {"Statement": statement.to_string()}],
            ["GetPolicy", {"Policy": policy.to_string(), "RevisionId": "revision-8"}],
            ["UpdateFunctionCode", brief("$LATEST", &second, 30)],
            ["UpdateFunctionConfiguration", brief("$LATEST", &second, 60)],
            ["PublishVersion", brief("2", &second, 60)],
            ["UpdateAlias", alias("2", "revision-12")],
            ["ListVersionsByFunction", [["$LATEST", null], ["1", "one"], ["2", "two"]]],
            ["TagResource", {}],
            ["DeleteFunctionUrlConfig", {}],
            ["DeleteFunction", {"StatusCode": 204}],
            ["GetFunction", missing],
            ["CreateApi", api],
            ["GetApis", {"Items": [api]}],
            ["ListTagsForResource", {}],
            ["TagResource", {}],
            ["ListTagsForResource", {"tags": {"managed-by": "dockless"}}],
            ["DeleteLogGroup", {}],
            ["ListTagsForResource", no_log],
        ])
    );
}

#[tokio::test]
async fn boto3_takes_the_fake_for_ecs_express_mode() {
    let cloud = Running::start(aws::Aws::new(EcsExpress::new())).await;
    let told = drive("ecs_express.py", &cloud.url()).await;
    assert_eq!(cloud.wrong(), [""; 0]);
    let arn = "arn:aws:ecs:eu-west-1:123456789012:service/default/agent";
    let revision = "arn:aws:ecs:eu-west-1:123456789012:service-revision/default/agent/1";
    let image = format!("ghcr.io/acme/agent@sha256:{}", "1".repeat(64));
    let endpoint = "https://agent.ecs.eu-west-1.on.aws";
    let configuration = json!({
        "serviceRevisionArn": revision,
        "createdAt": "2026-11-21T01:00:01+00:00",
        "executionRoleArn": "arn:aws:iam::123456789012:role/run",
        "cpu": "1024",
        "memory": "2048",
        "healthCheckPath": "/health",
        "ingressPaths": [{"accessType": "PUBLIC", "endpoint": endpoint}],
        "primaryContainer": {
            "containerPort": 8080, "environment": [{"name": "A", "value": "1"}], "image": image,
        },
        "scalingTarget": {"minTaskCount": 1, "maxTaskCount": 2},
    });
    let service = json!({
        "serviceArn": arn,
        "serviceName": "agent",
        "cluster": "default",
        "status": {"statusCode": "ACTIVE"},
        "infrastructureRoleArn": "arn:aws:iam::123456789012:role/balance",
        "createdAt": "2026-11-21T01:00:01+00:00",
        "updatedAt": "2026-11-21T01:00:04+00:00",
        "tags": [{"key": "managed-by", "value": "dockless"}],
        "activeConfigurations": [configuration],
    });
    let deployment = json!({
        "serviceDeploymentArn": "arn:aws:ecs:eu-west-1:123456789012:service-deployment/default/agent/1",
        "serviceArn": arn,
        "createdAt": "2026-11-21T01:00:05+00:00",
        "lifecycleStage": "BAKE_TIME",
        "status": "SUCCESSFUL",
        "targetServiceRevision": {"arn": revision},
    });
    let changed = "1970-01-01T00:00:01+00:00";
    let certificate = json!({"domainName": "d", "status": "ACTIVE", "updatedAt": changed});
    let path = json!({"accessType": "PUBLIC", "certificate": certificate, "endpoint": endpoint});
    let group = json!({
        "logGroupName": "/aws/ecs/default/agent", "status": "ACTIVE", "updatedAt": changed,
    });
    let revision = json!({
        "serviceRevisionArn": revision,
        "containerImages": [{"containerName": "Main", "image": image}],
        "ecsManagedResources": {"ingressPaths": [path], "logGroups": [group]},
    });
    let missing = json!({"failures": [{"arn": arn, "reason": "MISSING"}], "services": []});
    let exists = json!({
        "error": "InvalidParameterException",
        "message": "Creation of service was not idempotent.",
    });
    let [draining, inactive] = ["DRAINING", "INACTIVE"].map(|status| {
        let service = json!({"serviceArn": arn, "serviceName": "agent", "status": status});
        json!({"failures": [], "services": [service]})
    });
    assert_eq!(
        told,
        json!([
            ["DescribeServices", missing],
            ["CreateExpressGatewayService", {"statusCode": "ACTIVE"}],
            ["CreateExpressGatewayService", exists],
            ["ListServiceDeployments", ["IN_PROGRESS"]],
            ["ListServiceDeployments", ["IN_PROGRESS"]],
            ["ListServiceDeployments", ["SUCCESSFUL"]],
            ["UpdateExpressGatewayService", {"statusCode": "ACTIVE"}],
            ["ListServiceDeployments", ["SUCCESSFUL", "IN_PROGRESS"]],
            ["ListServiceDeployments", ["SUCCESSFUL", "IN_PROGRESS"]],
            ["ListServiceDeployments", ["SUCCESSFUL", "SUCCESSFUL"]],
            ["DescribeExpressGatewayService", {"service": service}],
            [
                "DescribeServiceDeployments",
                {"failures": [], "serviceDeployments": [deployment]},
            ],
            ["DescribeServiceRevisions", {"failures": [], "serviceRevisions": [revision]}],
            ["TagResource", {}],
            ["UntagResource", {}],
            ["DeleteExpressGatewayService", {"statusCode": "DRAINING"}],
            ["DescribeServices", draining],
            ["DescribeServices", draining],
            ["DescribeServices", inactive],
        ])
    );
}
