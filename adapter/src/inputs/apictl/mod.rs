//! The REST API that apictl speaks: `/api/mgw/adapter/0.1`.
//!
//! Who calls is checked before a body is read; a deployment is answered after it is stored and published, and after the
//! connected gateways have answered for it or a short time has passed.

pub mod auth;
mod body;
mod parameters;
mod reply;
mod report;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use futures_util::Stream;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;
use tokio::sync::Semaphore;
use warp::filters::path::FullPath;
use warp::reply::Response;
use warp::{Filter, Rejection};

pub use auth::{Authenticator, KeyError, User};

use self::parameters::Query;
use self::report::Report;
use super::catalog::{Catalog, DeployError, Selection, Summary, UndeployError};
use crate::model::{Gateways, Problems};

/// Path of everything.
pub const BASE: &str = "/api/mgw/adapter/0.1";

/// Uploads that may be in memory at once. Others wait.
const MAX_UPLOADS: usize = 4;

/// The REST API. Cheap to clone.
#[derive(Clone)]
pub struct RestApi {
    catalog: Arc<Catalog>,
    auth: Authenticator,
    uploads: Arc<Semaphore>,
    gateways: Arc<dyn Gateways>,
    patience: Duration,
    /// Whether APIs come from elsewhere, and only from there.
    managed: bool,
}

/// `GET /apis`.
#[derive(Debug, Serialize)]
struct ApiList {
    total: usize,
    count: usize,
    list: Vec<ApiItem>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiItem {
    api_name: String,
    version: String,
    api_type: String,
    context: String,
    #[serde(rename = "gateway-envs")]
    environments: Vec<String>,
    #[serde(rename = "vhost")]
    virtual_host: String,
}

impl From<Summary> for ApiItem {
    fn from(one: Summary) -> Self {
        Self {
            api_name: one.name,
            version: one.version,
            api_type: one.api_type,
            context: one.context,
            environments: one.environments.into_iter().collect(),
            virtual_host: one.virtual_host,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    access_token: String,
}

impl RestApi {
    /// The API over that catalogue. Answers to changes wait so long for the gateways.
    #[must_use]
    pub fn new(catalog: Arc<Catalog>, auth: Authenticator, gateways: Arc<dyn Gateways>, patience: Duration) -> Self {
        Self { catalog, auth, uploads: Arc::new(Semaphore::new(MAX_UPLOADS)), gateways, patience, managed: false }
    }

    /// The same, where APIs come from API Manager: they are listed, and cannot be changed.
    #[must_use]
    pub fn managed(self, managed: bool) -> Self {
        Self { managed, ..self }
    }

    /// The filter that answers every request.
    pub fn routes(self) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
        let query = warp::query::raw().or_else(|_| async { Ok::<_, Infallible>((String::new(),)) });
        warp::method()
            .and(warp::path::full())
            .and(query)
            .and(warp::header::headers_cloned())
            .and(warp::body::stream())
            .then(move |method: Method, path: FullPath, query: String, headers: HeaderMap, body| {
                let api = self.clone();
                async move {
                    let response = api.answer(&method, path.as_str(), &query, &headers, body).await;
                    tracing::debug!(%method, path = path.as_str(), status = response.status().as_u16(), "REST request");
                    response
                }
            })
    }

    async fn answer<B: Buf>(
        &self,
        method: &Method,
        path: &str,
        query: &str,
        headers: &HeaderMap,
        body: impl Stream<Item = Result<B, warp::Error>> + Send + 'static,
    ) -> Response {
        let query = Query::parse(query);
        let outcome = match path.strip_prefix(BASE) {
            Some("/oauth2/token") if method == Method::POST => self.login(headers, body).await,
            Some("/oauth2/token") => Err(reply::method_not_allowed(method.as_str(), "POST")),
            Some("/apis") => match self.auth.check(headers.get(AUTHORIZATION).map(http::HeaderValue::as_bytes)) {
                Err(denial) => Err(reply::denied(denial)),
                Ok(()) if self.managed && [Method::POST, Method::DELETE].contains(method) => Err(managed()),
                Ok(()) if method == Method::POST => self.deploy(&query, headers, body).await,
                Ok(()) if method == Method::GET => self.list(&query).await,
                Ok(()) if method == Method::DELETE => self.undeploy(&query).await,
                Ok(()) => Err(reply::method_not_allowed(method.as_str(), "DELETE, GET, POST")),
            },
            _ => Err(reply::error(StatusCode::NOT_FOUND, &format!("path {path} was not found"))),
        };
        outcome.unwrap_or_else(|response| response)
    }

    async fn login<B: Buf>(
        &self,
        headers: &HeaderMap,
        body: impl Stream<Item = Result<B, warp::Error>>,
    ) -> Result<Response, Response> {
        let media = content_type(headers).unwrap_or("application/json");
        if !media.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
            let message = format!("unsupported media type {media:?}, only [application/json] are allowed");
            return Err(reply::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, &message));
        }
        let body = body::login(body).await?;
        let (username, password) = parameters::credentials(&body).map_err(|invalid| reply::invalid(&invalid))?;
        let auth = self.auth.clone();
        // Signing takes milliseconds.
        match tokio::task::spawn_blocking(move || auth.login(&username, &password)).await {
            Ok(Ok(Some(access_token))) => Ok(reply::json(StatusCode::OK, &Token { access_token })),
            Ok(Ok(None)) => Err(reply::empty(StatusCode::UNAUTHORIZED)),
            Ok(Err(reason)) => Err(internal(&format!("a token could not be signed: {reason}"))),
            Err(error) => Err(internal(&error.to_string())),
        }
    }

    async fn deploy<B: Buf>(
        &self,
        query: &Query,
        headers: &HeaderMap,
        body: impl Stream<Item = Result<B, warp::Error>> + Send + 'static,
    ) -> Result<Response, Response> {
        let permit = self.uploads.acquire().await.map_err(|error| internal(&error.to_string()))?;
        let archive = body::archive(content_type(headers), body).await?;
        let outcome = self.catalog.deploy(archive, query.overwrite()).await;
        drop(permit);
        match outcome {
            Ok(deployed) => {
                for warning in &deployed.warnings {
                    tracing::warn!(%warning, "deployed with a warning");
                }
                let gateways = self.gateways.answers(&deployed.change, self.patience).await;
                let apis = deployed.targets.into_iter().map(ApiItem::from).collect();
                let report = Report::new("The API is deployed.", apis, gateways, deployed.warnings);
                Ok(reply::json(StatusCode::OK, &report))
            }
            Err(DeployError::Invalid(problems)) => {
                let message = "The API project is not valid.";
                Err(reply::refused(StatusCode::BAD_REQUEST, message, &problems))
            }
            Err(DeployError::Conflict(problems)) => {
                let message = "The API or its base path already exists.";
                Err(reply::refused(StatusCode::CONFLICT, message, &problems))
            }
            Err(error @ (DeployError::Store(_) | DeployError::Interrupted(_))) => Err(internal(&error.to_string())),
        }
    }

    async fn list(&self, query: &Query) -> Result<Response, Response> {
        let kind = query.api_type().map_err(|invalid| reply::invalid(&invalid))?;
        let limit = query.limit().map_err(|invalid| reply::invalid(&invalid))?;
        let mut all = self.catalog.list().await;
        all.retain(|one| kind.as_ref().is_none_or(|kind| *kind == one.api_type));
        let total = all.len();
        all.truncate(limit.unwrap_or(total));
        let list: Vec<ApiItem> = all.into_iter().map(ApiItem::from).collect();
        Ok(reply::json(StatusCode::OK, &ApiList { total, count: list.len(), list }))
    }

    async fn undeploy(&self, query: &Query) -> Result<Response, Response> {
        let selection = (|| {
            Ok(Selection {
                name: query.api_name()?,
                version: query.version()?,
                virtual_host: query.virtual_host()?,
                environments: query.environments()?.into_iter().collect(),
            })
        })();
        let selection = selection.map_err(|invalid: parameters::Invalid| reply::invalid(&invalid))?;
        match self.catalog.undeploy(selection).await {
            Ok(change) => {
                let gateways = self.gateways.answers(&change, self.patience).await;
                let report = Report::new("The API is undeployed.", Vec::new(), gateways, Problems::new());
                Ok(reply::json(StatusCode::OK, &report))
            }
            Err(UndeployError::NotFound) => Err(reply::error(StatusCode::NOT_FOUND, "The API is not deployed.")),
            Err(error) => Err(internal(&error.to_string())),
        }
    }
}

fn managed() -> Response {
    let message = "APIs come from API Manager (controlPlane.enabled), so they are deployed and undeployed there.";
    reply::error(StatusCode::BAD_REQUEST, message)
}

fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok())
}

fn internal(reason: &str) -> Response {
    tracing::error!(reason, "a REST request failed");
    reply::error(StatusCode::INTERNAL_SERVER_ERROR, "The adapter failed; its log says why.")
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
