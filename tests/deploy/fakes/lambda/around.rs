//! What stands around functions: roles, who calls, APIs, logs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::function::take;
use super::{ACCOUNT, Aws, REGION, Refusal, nothing};
use crate::fake::Response;

/// A role.
#[derive(Debug, Clone, Default)]
pub(crate) struct Role {
    /// Who may assume it, as it was sent.
    pub(crate) trust: String,
    pub(crate) attached: BTreeSet<String>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// A group of logs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    pub(crate) events: Vec<Value>,
    pub(crate) tags: Map<String, Value>,
}

impl Aws {
    /// Makes a role that Lambda may assume, without tags.
    pub(crate) fn add_role(&mut self, name: &str) -> String {
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"Service": "lambda.amazonaws.com"},
        }]});
        let role = Role { trust: trust.to_string(), ..Role::default() };
        self.roles.insert(name.to_owned(), role);
        format!("arn:aws:iam::{ACCOUNT}:role/{name}")
    }

    pub(super) fn around(&mut self, operation: &str, members: &Value) -> Result<Response, Refusal> {
        match operation {
            "GetCallerIdentity" => Ok(xml(
                operation,
                &format!(
                    "<UserId>AIDA</UserId><Account>{ACCOUNT}</Account>\
                     <Arn>arn:aws:iam::{ACCOUNT}:user/bob</Arn>"
                ),
            )),
            "CreateApi" | "GetApis" | "UpdateApi" | "DeleteCorsConfiguration" | "DeleteApi" => {
                self.api(operation, members)
            }
            "FilterLogEvents" | "DeleteLogGroup" | "ListTagsForResource" | "TagResource" => {
                self.log(operation, members)
            }
            _ => self.role(operation, members),
        }
    }

    fn role(&mut self, operation: &str, members: &Value) -> Result<Response, Refusal> {
        let name = members["RoleName"].as_str().unwrap().to_owned();
        if operation == "CreateRole" {
            let tags = members["Tags"].as_array().unwrap().iter();
            let text = |tag: &Value, member: &str| tag[member].as_str().unwrap().to_owned();
            let role = Role {
                trust: members["AssumeRolePolicyDocument"].as_str().unwrap().to_owned(),
                attached: BTreeSet::new(),
                tags: tags.map(|tag| (text(tag, "Key"), text(tag, "Value"))).collect(),
            };
            let answer = xml(operation, &role.document(&name));
            self.roles.insert(name, role);
            return Ok(answer);
        }
        let missing =
            || (404, "NoSuchEntity", format!("The role with name {name} cannot be found."));
        let role = self.roles.get_mut(&name).ok_or_else(missing)?;
        let policy = members["PolicyArn"].as_str().unwrap_or_default().to_owned();
        let body = match operation {
            "GetRole" => role.document(&name),
            "ListAttachedRolePolicies" => {
                let member = |arn: &String| {
                    format!(
                        "<member><PolicyName>p</PolicyName><PolicyArn>{arn}</PolicyArn></member>"
                    )
                };
                let attached: String = role.attached.iter().map(member).collect();
                format!(
                    "<AttachedPolicies>{attached}</AttachedPolicies><IsTruncated>false</IsTruncated>"
                )
            }
            "ListRolePolicies" => {
                "<PolicyNames></PolicyNames><IsTruncated>false</IsTruncated>".to_owned()
            }
            "AttachRolePolicy" => {
                role.attached.insert(policy);
                String::new()
            }
            "DetachRolePolicy" => {
                role.attached.remove(&policy);
                String::new()
            }
            "DeleteRole" => {
                if !role.attached.is_empty() {
                    let message = "Cannot delete entity, must detach all policies first.";
                    return Err((409, "DeleteConflict", message.to_owned()));
                }
                self.roles.remove(&name);
                String::new()
            }
            other => panic!("the fake does not know {other}"),
        };
        Ok(xml(operation, &body))
    }

    fn api(&mut self, operation: &str, members: &Value) -> Result<Response, Refusal> {
        Ok(match operation {
            "CreateApi" => {
                let id = format!("api{}", self.apis.len());
                let mut api = json!({
                    "apiId": id,
                    "apiEndpoint": format!("https://{id}.execute-api.{REGION}.amazonaws.com"),
                    "routeSelectionExpression": "$request.method $request.path",
                });
                for member in ["name", "protocolType", "tags"] {
                    api[member] = members[member].clone();
                }
                take(&mut api, members, &["corsConfiguration"]);
                self.apis.push(api.clone());
                Response::json(201, &api)
            }
            "UpdateApi" | "DeleteCorsConfiguration" => {
                let there = self.apis.iter_mut().find(|api| api["apiId"] == members["apiId"]);
                let Some(api) = there else { return Err(no_api()) };
                if operation == "UpdateApi" {
                    take(api, members, &["corsConfiguration"]);
                    Response::json(200, api)
                } else {
                    api.as_object_mut().unwrap().remove("corsConfiguration");
                    nothing()
                }
            }
            "GetApis" => {
                // One at a time, so that nobody forgets the pages.
                let at: usize = members["nextToken"].as_str().unwrap_or("0").parse().unwrap();
                let items: Vec<_> = self.apis.get(at).into_iter().collect();
                let mut page = json!({"items": items});
                if at + 1 < self.apis.len() {
                    page["nextToken"] = (at + 1).to_string().into();
                }
                Response::json(200, &page)
            }
            _ => {
                let before = self.apis.len();
                self.apis.retain(|api| api["apiId"] != members["apiId"]);
                if self.apis.len() == before {
                    return Err(no_api());
                }
                nothing()
            }
        })
    }

    fn log(&mut self, operation: &str, members: &Value) -> Result<Response, Refusal> {
        let of_arn = || members["resourceArn"].as_str()?.split_once(":log-group:").map(|it| it.1);
        let group = members["logGroupName"].as_str().or_else(of_arn).unwrap();
        let missing = || {
            (400, "ResourceNotFoundException", "The specified log group does not exist.".to_owned())
        };
        let done = Response { status: 200, headers: Vec::new(), body: "".into() };
        let log = self.logs.get_mut(group).ok_or_else(missing)?;
        Ok(match operation {
            "FilterLogEvents" => Response::json(200, &json!({"events": log.events})),
            "ListTagsForResource" if log.tags.is_empty() => Response::json(200, &json!({})),
            "ListTagsForResource" => Response::json(200, &json!({"tags": log.tags})),
            "TagResource" => {
                log.tags.extend(members["tags"].as_object().unwrap().clone());
                done
            }
            _ => {
                self.logs.remove(group);
                done
            }
        })
    }
}

fn no_api() -> Refusal {
    (404, "NotFoundException", "Invalid API identifier specified".to_owned())
}

impl Role {
    fn document(&self, name: &str) -> String {
        let encoded = |byte: u8| {
            if byte.is_ascii_alphanumeric() {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        };
        let trust: String = self.trust.bytes().map(encoded).collect();
        let tag = |(key, value): (&String, &String)| {
            format!("<member><Key>{key}</Key><Value>{value}</Value></member>")
        };
        let tags: String = self.tags.iter().map(tag).collect();
        format!(
            "<Role><Path>/</Path><RoleName>{name}</RoleName><RoleId>AROAEXAMPLEEXAMPLE</RoleId>\
             <Arn>arn:aws:iam::{ACCOUNT}:role/{name}</Arn><CreateDate>2026-11-21T20:00:00Z</CreateDate>\
             <AssumeRolePolicyDocument>{trust}</AssumeRolePolicyDocument><Tags>{tags}</Tags></Role>"
        )
    }
}

fn xml(operation: &str, result: &str) -> Response {
    let text = if result.is_empty() {
        format!("<{operation}Response></{operation}Response>")
    } else {
        format!(
            "<{operation}Response><{operation}Result>{result}</{operation}Result></{operation}Response>"
        )
    };
    Response { status: 200, headers: xml_headers(), body: text.into() }
}

pub(super) fn xml_error(status: u16, code: &str, message: &str) -> Response {
    let text = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         <RequestId>r</RequestId></ErrorResponse>"
    );
    Response { status, headers: xml_headers(), body: text.into() }
}

fn xml_headers() -> Vec<(String, String)> {
    vec![("content-type".to_owned(), "text/xml".to_owned())]
}
