//! Answers of the REST API, in the shapes apictl knows.

use http::header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use warp::reply::Response;

use super::auth::Denial;
use super::parameters::Invalid;
use crate::model::Problems;

/// Body of every error.
#[derive(Debug, Serialize)]
struct ErrorBody<'e> {
    code: u16,
    message: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'e str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    error: Vec<ErrorItem>,
}

#[derive(Debug, Serialize)]
struct ErrorItem {
    code: String,
    message: String,
}

/// A JSON body.
pub fn json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    match serde_json::to_string(body) {
        Ok(text) => {
            let mut response = Response::new(text.into());
            *response.status_mut() = status;
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// A status without a body.
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

/// An error with a message.
pub fn error(status: StatusCode, message: &str) -> Response {
    json(status, &ErrorBody { code: status.as_u16(), message, description: None, error: Vec::new() })
}

/// A method that the path does not have.
pub fn method_not_allowed(method: &str, allowed: &'static str) -> Response {
    let names: Vec<&str> = allowed.split(", ").collect();
    let mut response = error(
        StatusCode::METHOD_NOT_ALLOWED,
        &format!("method {method} is not allowed, but [{}] are", names.join(",")),
    );
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// Nobody gets in like this.
pub fn denied(denial: Denial) -> Response {
    let message = match denial {
        Denial::Missing => "unauthenticated for invalid credentials",
        Denial::Credentials => "Credentials are invalid",
        Denial::Token => "The provided token is not valid",
    };
    let mut response = error(StatusCode::UNAUTHORIZED, message);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"Tollgate adapter\""));
    response
}

/// A parameter that is not valid: 422, with the number of the rule in the body.
pub fn invalid(invalid: &Invalid) -> Response {
    let body = ErrorBody { code: invalid.code, message: &invalid.message, description: None, error: Vec::new() };
    json(StatusCode::UNPROCESSABLE_ENTITY, &body)
}

/// A project that was refused, with all that is wrong with it.
pub fn refused(status: StatusCode, message: &str, problems: &Problems) -> Response {
    let error = problems
        .iter()
        .map(|problem| ErrorItem { code: status.as_u16().to_string(), message: problem.to_string() })
        .collect();
    let description = Some("Nothing was deployed.");
    json(status, &ErrorBody { code: status.as_u16(), message, description, error })
}
