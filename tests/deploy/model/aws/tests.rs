//! Requests and answers with mistakes, each told, and those without, of which nothing is.

use serde_json::json;

use super::*;

const ROLE: &str = "arn:aws:iam::123456789012:role/service-role/pull";
const SERVICE: &str =
    "arn:aws:apprunner:eu-west-1:123456789012:service/a/0123456789abcdef0123456789abcdef";

fn call(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Call {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let url = reqwest::Url::parse("http://fake").unwrap().join(path).unwrap();
    Call {
        method: method.to_owned(),
        path: url.path().to_owned(),
        query: url.query_pairs().into_owned().collect(),
        headers: headers.iter().copied().map(owned).collect(),
        body: body.to_owned().into(),
    }
}

fn app_runner(operation: &str, body: &Value) -> Call {
    let target = format!("AppRunner.{operation}");
    let headers =
        [("x-amz-target", target.as_str()), ("content-type", "application/x-amz-json-1.0")];
    call("POST", "/", &headers, &body.to_string())
}

fn rest(method: &str, path: &str, body: &Value) -> Call {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    call(method, path, &[("content-type", "application/json")], &text)
}

fn form(fields: &str) -> Call {
    let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    call("POST", "/", &headers, fields)
}

fn service() -> Value {
    json!({
        "ServiceName": "agent",
        "SourceConfiguration": {
            "AuthenticationConfiguration": {"AccessRoleArn": ROLE},
            "AutoDeploymentsEnabled": false,
            "ImageRepository": {
                "ImageIdentifier": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/a@sha256:0123",
                "ImageConfiguration": {"Port": "8080", "RuntimeEnvironmentVariables": {"A": "1"}},
                "ImageRepositoryType": "ECR",
            },
        },
        "HealthCheckConfiguration": {"Protocol": "HTTP", "Path": "/health", "Interval": 5},
        "Tags": [{"Key": "managed-by", "Value": "dockless"}],
    })
}

/// The service with one value changed; null takes it out.
fn service_with(pointer: &str, value: Value) -> Value {
    let mut service = service();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = service.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Value::Null => drop(parent.remove(name)),
        value => drop(parent.insert(name.to_owned(), value)),
    }
    service
}

#[test]
fn a_request_in_json_is_what_its_shape_says() {
    let image = "/SourceConfiguration/ImageRepository/ImageIdentifier";
    let image_pattern = "([0-9]{12}.dkr.ecr.[a-z\\-]+-[0-9]{1}.amazonaws.com\\/((?:[a-z0-9]+(?:[._-][a-z0-9]+)*\\/)*[a-z0-9]+(?:[._-][a-z0-9]+)*)(:([\\w\\d+\\-=._:\\/@])+|@([\\w\\d\\:]+))?)|(^public\\.ecr\\.aws\\/.+\\/((?:[a-z0-9]+(?:[._-][a-z0-9]+)*\\/)*[a-z0-9]+(?:[._-][a-z0-9]+)*)(:([\\w\\d+\\-=._:\\/@])+|@([\\w\\d\\:]+))?)";
    let no_image = format!("`{image}` is `ghcr.io/a`, no `ImageIdentifier`: `{image_pattern}`");
    let cases: [(Value, &[&str]); 12] = [
        (service(), &[]),
        (service_with("/Name", json!("a")), &["`/Name` is unknown"]),
        (service_with("/ServiceName", json!(null)), &["`/ServiceName` is missing"]),
        (
            service_with("/SourceConfiguration/ImageRepository/ImageRepositoryType", json!(null)),
            &["`/SourceConfiguration/ImageRepository/ImageRepositoryType` is missing"],
        ),
        (
            service_with("/ServiceName", json!(7)),
            &["`/ServiceName` is 7, which is no String (`ServiceName`)"],
        ),
        (
            service_with("/ServiceName", json!("abc")),
            &[
                "`/ServiceName` has a length of 3, less than 4",
                "`/ServiceName` is `abc`, no `ServiceName`: `[A-Za-z0-9][A-Za-z0-9-_]{3,39}`",
            ],
        ),
        (service_with(image, json!("ghcr.io/a")), &[&no_image]),
        (
            service_with("/HealthCheckConfiguration/Protocol", json!("HTTPS")),
            &["`/HealthCheckConfiguration/Protocol` is `HTTPS`, not one of `TCP`, `HTTP`"],
        ),
        (
            service_with("/HealthCheckConfiguration/Interval", json!(21)),
            &["`/HealthCheckConfiguration/Interval` is 21, more than 20"],
        ),
        (
            service_with("/HealthCheckConfiguration/Interval", json!(1.5)),
            &["`/HealthCheckConfiguration/Interval` is 1.5, no whole number"],
        ),
        (
            service_with("/SourceConfiguration/AutoDeploymentsEnabled", json!("false")),
            &[
                "`/SourceConfiguration/AutoDeploymentsEnabled` is \"false\", which is no Boolean (`NullableBoolean`)",
            ],
        ),
        (
            service_with("/Tags", json!([{"Key": "aws:x", "Value": "y"}, []])),
            &[
                "`/Tags/0/Key` is `aws:x`, no `TagKey`: `^(?!aws:).+`",
                "`/Tags/1` is [], which is no Structure (`Tag`)",
            ],
        ),
    ];
    let model = Model::load("apprunner");
    for (body, problems) in cases {
        assert_eq!(model.check(&app_runner("CreateService", &body)), problems, "{body:#}");
    }
}

#[test]
fn lists_maps_unions_and_nulls_are_looked_into() {
    let model = Model::load("ecs");
    let check = |shape: &str, value: Value| model.check_value(shape, &value, false);
    assert_eq!(check("ServiceConnectAccessLogConfiguration", json!({})), ["`/format` is missing"]);
    let model = Model::load("lambda");
    let check = |shape: &str, value: Value| model.check_value(shape, &value, false);
    assert_eq!(
        check("EnvironmentVariables", json!({"A": "1", "AB": 1})),
        [
            "`/A (key)` is `A`, no `EnvironmentVariableName`: `[a-zA-Z]([a-zA-Z0-9_])+`",
            "`/AB` is 1, which is no String (`EnvironmentVariableValue`)",
        ]
    );
    assert_eq!(
        check("ArchitecturesList", json!(["arm64", "x86_64"])),
        ["`/` has a length of 2, more than 1"]
    );
    assert_eq!(
        check("Environment", json!({"Variables": null})),
        ["`/Variables` is null, which is no Map (`EnvironmentVariables`)"]
    );
    assert_eq!(model.check_value("Environment", &json!({"Variables": null}), true), [""; 0]);
    assert_eq!(check("Blob", json!("%")), ["`/` is \"%\", which is no Blob (`Blob`)"]);
}

#[test]
fn a_union_has_exactly_one_member() {
    let mut model = Model::load("ecs");
    let union = json!({
        "type": "structure", "union": true, "members": {"a": {"shape": "String"}, "b": {"shape": "String"}},
    });
    model.shapes.insert("Union".to_owned(), serde_json::from_value(union).unwrap());
    let check = |value: Value| model.check_value("Union", &value, false);
    assert_eq!(check(json!({"a": "1"})), [""; 0]);
    assert_eq!(check(json!({})), ["`/` has 0 members of a union, not one"]);
    assert_eq!(check(json!({"a": "1", "b": "2"})), ["`/` has 2 members of a union, not one"]);
}

#[test]
fn the_head_of_a_request_in_json_counts() {
    let right = app_runner("ListServices", &json!({}));
    let with = |name: &str, value: &str| {
        let mut call = right.clone();
        call.headers.retain(|(header, _)| header != name);
        call.headers.push((name.to_owned(), value.to_owned()));
        call
    };
    let cases: [(Call, &[&str]); 7] = [
        (right.clone(), &[]),
        (
            with("x-amz-target", "AppRunner.ListThings"),
            &["`AppRunner.ListThings` is no operation of the model"],
        ),
        (with("x-amz-target", "ListServices"), &["`ListServices` is no operation of the model"]),
        (
            with("content-type", "application/x-amz-json-1.1"),
            &["the content type is `application/x-amz-json-1.1`, not `application/x-amz-json-1.0`"],
        ),
        (Call { method: "GET".to_owned(), ..right.clone() }, &["it is `GET /`, not `POST /`"]),
        (Call { path: "/a".to_owned(), ..right.clone() }, &["it is `POST /a`, not `POST /`"]),
        (
            Call { body: "{".into(), ..right.clone() },
            &["the body is no JSON: EOF while parsing an object at line 1 column 1"],
        ),
    ];
    let model = Model::load("apprunner");
    for (call, problems) in cases {
        assert_eq!(model.check(&call), problems, "{call:?}");
    }
}

#[test]
fn a_rest_request_is_its_path_query_headers_and_body() {
    let revision = "0b5f2a5e-6f3c-4d3f-9f6e-2f4f3f3f3f3f";
    let permission = json!({
        "Action": "lambda:InvokeFunctionUrl", "Principal": "*", "StatementId": "url",
        "FunctionUrlAuthType": "NONE",
    });
    let function = "/2015-03-31/functions/agent";
    let tags = "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Aagent";
    let cases: [(Call, &[&str]); 13] = [
        (rest("POST", &format!("{function}/policy?Qualifier=live"), &permission), &[]),
        (rest("GET", &format!("{function}/versions?MaxItems=50&Marker=x"), &Value::Null), &[]),
        (rest("DELETE", &format!("{tags}?tagKeys=a&tagKeys=b"), &Value::Null), &[]),
        (
            rest("DELETE", &format!("{function}/policy/url?RevisionId={revision}"), &Value::Null),
            &[],
        ),
        (
            rest("PATCH", function, &Value::Null),
            &["`PATCH /2015-03-31/functions/agent` is no operation of the model"],
        ),
        (
            rest("GET", "/2015-03-31/functions/agent/", &Value::Null),
            &["`GET /2015-03-31/functions/agent/` is no operation of the model"],
        ),
        (
            rest("GET", &format!("{function}/versions?MaxItems=many"), &Value::Null),
            &["`/MaxItems` is \"many\", which is no Integer (`MaxListItems`)"],
        ),
        (
            rest("GET", &format!("{function}/versions?Max=1"), &Value::Null),
            &["`Max` in the query is unknown"],
        ),
        (rest("DELETE", tags, &Value::Null), &["`/tagKeys` is missing"]),
        (
            rest("POST", &format!("{function}/policy"), &json!({"Qualifier": "live"})),
            &["`Qualifier` stands in the body, not in the Querystring"],
        ),
        (
            rest("POST", &format!("{function}/policy"), &json!({"Statement": "url"})),
            &["`Statement` in the body is unknown"],
        ),
        (
            call("POST", &format!("{function}/versions"), &[], "{}"),
            &["the content type is ``, not `application/json`"],
        ),
        (
            rest("GET", "/2015-03-31/functions/a%20b/policy", &Value::Null),
            &[
                "`/FunctionName` is `a b`, no `NamespacedFunctionName`: `(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?([a-zA-Z0-9-_\\.]+)(:(\\$LATEST(\\.PUBLISHED)?|[a-zA-Z0-9-_]+))?`",
            ],
        ),
    ];
    let model = Model::load("lambda");
    for (call, problems) in cases {
        assert_eq!(model.check(&call), problems, "{call:?}");
    }
    let input = model.input(&rest("DELETE", &format!("{tags}?tagKeys=a&tagKeys=b"), &Value::Null));
    let members = json!({
        "Resource": "arn:aws:lambda:eu-west-1:123456789012:function:agent", "tagKeys": ["a", "b"],
    });
    assert_eq!(input, Input { operation: "UntagResource".to_owned(), members });
}

#[test]
fn names_on_the_wire_count_where_the_model_has_others() {
    let model = Model::load("apigatewayv2");
    let right = json!({"name": "agent", "protocolType": "HTTP", "tags": {"a": "b"}});
    assert_eq!(model.check(&rest("POST", "/v2/apis", &right)), [""; 0]);
    let wrong = json!({"Name": "agent", "protocolType": "SOAP"});
    assert_eq!(model.check(&rest("POST", "/v2/apis", &wrong)), ["`Name` in the body is unknown"]);
    let wrong = json!({"protocolType": "SOAP"});
    assert_eq!(
        model.check(&rest("POST", "/v2/apis", &wrong)),
        ["`/protocolType` is `SOAP`, not one of `WEBSOCKET`, `HTTP`", "`/name` is missing"]
    );
}

#[test]
fn a_form_is_read_by_the_shapes() {
    let create =
        "Action=CreateRole&Version=2010-05-08&RoleName=pull&AssumeRolePolicyDocument=%7B%7D";
    let cases: [(String, &[&str]); 9] = [
        (format!("{create}&Tags.member.1.Key=a&Tags.member.1.Value=b"), &[]),
        (
            "Action=CreateRole&Version=2011-06-15&RoleName=a&AssumeRolePolicyDocument=x".to_owned(),
            &["`Version` is `2011-06-15`, not `2010-05-08`"],
        ),
        (
            "Action=MakeRole&Version=2010-05-08".to_owned(),
            &["`MakeRole` is no operation of the model"],
        ),
        (
            "Action=CreateRole&Version=2010-05-08&RoleName=a".to_owned(),
            &["`/AssumeRolePolicyDocument` is missing"],
        ),
        (format!("{create}&Name=a"), &["`/Name` is unknown"]),
        (format!("{create}&Tags.1.Key=a"), &["`/Tags` has `1`, which is no `member`"]),
        (format!("{create}&Tags.member.2.Key=a"), &["`/Tags` is not counted from 1"]),
        (format!("{create}&Tags.member.1.Key=a"), &["`/Tags/0/Value` is missing"]),
        (
            format!("{create}&MaxSessionDuration=long&Path.a=1"),
            &["`/Path` has members, but is a plain value"],
        ),
    ];
    let model = Model::load("iam");
    for (fields, problems) in cases {
        assert_eq!(model.check(&form(&fields)), problems, "{fields}");
    }
    let input = model.input(&form(&format!("{create}&MaxSessionDuration=3600&Tags=")));
    let members = json!({
        "RoleName": "pull", "AssumeRolePolicyDocument": "{}", "MaxSessionDuration": 3600, "Tags": [],
    });
    assert_eq!(input, Input { operation: "CreateRole".to_owned(), members });
}

#[test]
fn an_answer_in_json_is_what_its_shape_says() {
    let described = |change: &dyn Fn(&mut Value)| {
        let mut service = json!({
            "ServiceName": "agent", "ServiceId": "0123456789abcdef0123456789abcdef",
            "ServiceArn": SERVICE, "CreatedAt": 1.7e9, "UpdatedAt": 1_700_000_000,
            "Status": "RUNNING", "SourceConfiguration": {}, "InstanceConfiguration": {},
            "NetworkConfiguration": {},
            "AutoScalingConfigurationSummary": {},
        });
        change(&mut service);
        Response::json(200, &json!({"Service": service}))
    };
    let with_status = |status: u16| Response { status, ..described(&|_| {}) };
    let cases: [(Response, &[&str]); 10] = [
        (described(&|_| {}), &[]),
        (with_status(201), &["the status is 201, not 200"]),
        (
            described(&|service| service["Status"] = "READY".into()),
            &[
                "`/Service/Status` is `READY`, not one of `CREATE_FAILED`, `RUNNING`, `DELETED`, `DELETE_FAILED`, `PAUSED`, `OPERATION_IN_PROGRESS`",
            ],
        ),
        (
            described(&|service| service["CreatedAt"] = "2026-01-01T00:00:00Z".into()),
            &[
                "`/Service/CreatedAt` is \"2026-01-01T00:00:00Z\", which is no Timestamp (`Timestamp`)",
            ],
        ),
        (described(&|service| service["Url"] = "x".into()), &["`/Service/Url` is unknown"]),
        (Response::json(200, &json!([])), &["the body is [], no object"]),
        (Response::aws_error(400, "ResourceNotFoundException", "no"), &[]),
        (Response::aws_error(400, "ThrottlingException", "no"), &[]),
        (
            Response::aws_error(404, "ResourceNotFoundException", "no"),
            &["`ResourceNotFoundException` has the status 404, not 400"],
        ),
        (
            Response::aws_error(400, "NotFoundException", "no"),
            &[
                "`NotFoundException` is no error of this operation: `InvalidRequestException`, `ResourceNotFoundException`, `InternalServiceErrorException`",
            ],
        ),
    ];
    let model = Model::load("apprunner");
    let call = app_runner("DescribeService", &json!({"ServiceArn": SERVICE}));
    for (response, problems) in cases {
        assert_eq!(model.check_answer(&call, &response), problems, "{response:?}");
    }
}

#[test]
fn statuses_and_empty_bodies_are_the_models() {
    let model = Model::load("lambda");
    let function = "/2015-03-31/functions/agent";
    let create = rest(
        "POST",
        "/2015-03-31/functions",
        &json!({
            "FunctionName": "agent", "Role": ROLE, "Code": {"ImageUri": "x"},
        }),
    );
    let created = json!({"FunctionName": "agent", "VpcConfig": null, "State": "Pending"});
    let empty = Response { status: 204, headers: Vec::new(), body: "".into() };
    let delete = rest("DELETE", &format!("{function}/aliases/live"), &Value::Null);
    let busy = Response::aws_error(409, "ResourceConflictException", "update in progress");
    let gateway = Response { status: 502, headers: Vec::new(), body: "<html>".into() };
    let cases: [(&Call, Response, &[&str]); 7] = [
        (&create, Response::json(201, &created), &[]),
        (&create, Response::json(200, &created), &["the status is 200, not 201"]),
        (&create, busy, &[]),
        (&create, gateway.clone(), &[]),
        (&create, Response { status: 418, ..gateway }, &["an error of status 418 without a code"]),
        (&delete, empty, &[]),
        (&delete, Response::json(204, &created), &["the answer has a body, but no output"]),
    ];
    for (call, response, problems) in cases {
        assert_eq!(model.check(call), [""; 0]);
        assert_eq!(model.check_answer(call, &response), problems, "{response:?}");
    }
}

#[test]
fn an_answer_in_xml_is_read_by_the_shapes() {
    let xml = |status: u16, body: &str| Response {
        status,
        headers: Vec::new(),
        body: body.to_owned().into(),
    };
    let role = format!(
        "<Role><Path>/</Path><RoleName>pull</RoleName><RoleId>AROA0123456789ABCDEF</RoleId>\
         <Arn>{ROLE}</Arn><CreateDate>2026-11-01T00:00:00Z</CreateDate>\
         <Tags><member><Key>a</Key><Value>b</Value></member></Tags></Role>"
    );
    let answer = |role: &str| {
        xml(
            200,
            &format!(
                "<GetRoleResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><GetRoleResult>{role}\
             </GetRoleResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetRoleResponse>"
            ),
        )
    };
    let error = |status: u16, code: &str| {
        xml(
            status,
            &format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code></Error></ErrorResponse>"
            ),
        )
    };
    let cases: [(Response, &[&str]); 8] = [
        (answer(&role), &[]),
        (
            answer(&role.replace("Arn>", "ARN>")),
            &["`/Role/ARN` is unknown", "`/Role/Arn` is missing"],
        ),
        (
            answer(&role.replace("member>", "item>")),
            &["the body cannot be read: `Tags` has `item`, no `member`"],
        ),
        (
            answer(&role.replace("2026-11-01T00:00:00Z", "1")),
            &["`/Role/CreateDate` is no time (ISO 8601)"],
        ),
        (
            xml(200, "<GetRoleResult/>"),
            &["the body cannot be read: `GetRoleResult` has no `Result`"],
        ),
        (error(404, "NoSuchEntity"), &[]),
        (error(400, "NoSuchEntity"), &["`NoSuchEntity` has the status 400, not 404"]),
        (
            error(404, "NoSuchEntityException"),
            &[
                "`NoSuchEntityException` is no error of this operation: `NoSuchEntity`, `ServiceFailure`",
            ],
        ),
    ];
    let model = Model::load("iam");
    let call = form("Action=GetRole&Version=2010-05-08&RoleName=pull");
    for (response, problems) in cases {
        assert_eq!(model.check_answer(&call, &response), problems, "{response:?}");
    }
}

#[test]
fn every_model_is_whole_and_its_patterns_can_be_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/models/aws");
    let mut services = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            services.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
        }
    }
    services.sort();
    assert_eq!(
        services.join(" "),
        "apigatewayv2 apprunner ecr ecr-public ecs iam lambda logs secretsmanager sts"
    );
    for service in services {
        let model = Model::load(&service);
        model.shapes.values().for_each(|shape| shape.must_be_whole(&model));
        for operation in model.operations.values() {
            let named = operation.input.iter().chain(&operation.output).chain(&operation.errors);
            named.for_each(|reference| {
                model.shape(&reference.shape);
            });
        }
    }
}
