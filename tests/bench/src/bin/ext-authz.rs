//! `ext-authz <port>`: the best case of an authorization service beside the gateway: it looks at one header and says yes.
//!
//! No token is checked, nothing is looked up, and the messages hold what is needed and no more, so that what is measured is
//! the price of asking.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Ready, ready};

use anyhow::{Context, Result};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tollgate_bench::{argument, local};
use tonic::server::{Grpc, UnaryService};
use tonic_prost::ProstCodec;

/// `envoy.service.auth.v3.CheckRequest`, as far as it is looked at.
#[derive(Clone, PartialEq, prost::Message)]
struct CheckRequest {
    #[prost(message, optional, tag = "1")]
    attributes: Option<Attributes>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Attributes {
    #[prost(message, optional, tag = "4")]
    request: Option<Request>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(message, optional, tag = "2")]
    http: Option<HttpRequest>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HttpRequest {
    #[prost(map = "string, string", tag = "3")]
    headers: HashMap<String, String>,
}

/// `envoy.service.auth.v3.CheckResponse`, as far as it is written.
#[derive(Clone, PartialEq, prost::Message)]
struct CheckResponse {
    #[prost(message, optional, tag = "1")]
    status: Option<Status>,
    #[prost(message, optional, tag = "3")]
    ok: Option<Empty>,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Empty {}

/// `google.rpc.Code.UNAUTHENTICATED`.
const UNAUTHENTICATED: i32 = 16;

struct Check;

impl UnaryService<CheckRequest> for Check {
    type Response = CheckResponse;
    type Future = Ready<Result<tonic::Response<CheckResponse>, tonic::Status>>;

    fn call(&mut self, request: tonic::Request<CheckRequest>) -> Self::Future {
        let http = request.into_inner().attributes.and_then(|attributes| attributes.request?.http);
        let known =
            http.is_some_and(|http| http.headers.get("authorization").is_some_and(|it| it.starts_with("Bearer ")));
        ready(Ok(tonic::Response::new(CheckResponse {
            status: Some(Status { code: if known { 0 } else { UNAUTHENTICATED } }),
            ok: known.then_some(Empty {}),
        })))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let listener = TcpListener::bind(local(argument(1, "port")?)).await.context("listening")?;
    loop {
        let (stream, _) = listener.accept().await.context("accepting")?;
        stream.set_nodelay(true).context("setting TCP_NODELAY")?;
        let service = service_fn(async |request| {
            let mut grpc = Grpc::new(ProstCodec::<CheckResponse, CheckRequest>::default());
            Ok::<_, Infallible>(grpc.unary(Check, request).await)
        });
        tokio::spawn(async move {
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            // Envoy opens another one.
            let _ = connection.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
