//! The way to whoever gives credentials: ours, with its TLS and proxies, for AWS's providers.

use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

use crate::registry::Https;

/// What a request is for, in messages.
const ACTION: &str = "ask for credentials";

/// Sends the requests of AWS's providers.
#[derive(Debug, Clone)]
struct Connector(Arc<Https>);

/// A client for AWS's providers that sends as we do.
pub(super) fn client(https: Arc<Https>) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Connector(https));
    http_client_fn(move |_, _| connector.clone())
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self(https) = self.clone();
        HttpConnectorFuture::new(async move { send(&https, &request).await })
    }
}

async fn send(https: &Https, request: &HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let outgoing = outgoing(request).map_err(ConnectorError::user)?;
    let reply = https.send(outgoing, ACTION).await;
    let reply = reply.map_err(|fault| ConnectorError::io(fault.error))?;
    let status = StatusCode::try_from(reply.status);
    let status = status.map_err(|error| ConnectorError::other(error.into(), None))?;
    let mut response = HttpResponse::new(status, reply.body.into());
    for (name, value) in &reply.headers {
        if let Ok(value) = value.to_str() {
            response.headers_mut().append(name.to_string(), value.to_owned());
        }
    }
    Ok(response)
}

fn outgoing(
    request: &HttpRequest,
) -> Result<reqwest::Request, Box<dyn std::error::Error + Send + Sync>> {
    let url: Url = request.uri().parse()?;
    let mut outgoing = reqwest::Request::new(request.method().parse()?, url);
    for (name, value) in request.headers() {
        outgoing.headers_mut().append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    let body = request.body().bytes().unwrap_or_default();
    *outgoing.body_mut() = Some(body.to_vec().into()).filter(|_| !body.is_empty());
    Ok(outgoing)
}
