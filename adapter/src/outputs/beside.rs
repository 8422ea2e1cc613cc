//! Two services on one port, told apart by how their paths begin: gateways then need one way to the adapter for both.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Incoming};
use tower_service::Service;

type BoxError = Box<dyn Error + Send + Sync>;
type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;
type Answering = Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send>>;

/// A service, and one beside it where that is wanted. Both are ready at any time.
#[derive(Debug, Clone)]
pub(super) struct Beside<S, T> {
    pub(super) service: S,
    /// The beginning of its paths, and the other one.
    pub(super) beside: Option<(&'static str, T)>,
}

impl<S, T, A, B> Service<Request<Incoming>> for Beside<S, T>
where
    S: Service<Request<Incoming>, Response = Response<A>>,
    T: Service<Request<Incoming>, Response = Response<B>>,
    S::Future: Send + 'static,
    T::Future: Send + 'static,
    S::Error: Into<BoxError>,
    T::Error: Into<BoxError>,
    A: Body<Data = Bytes> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    A::Error: Into<BoxError>,
    B::Error: Into<BoxError>,
{
    type Response = Answer;
    type Error = BoxError;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Answering {
        match &mut self.beside {
            Some((prefix, beside)) if request.uri().path().starts_with(*prefix) => answering(beside.call(request)),
            _ => answering(self.service.call(request)),
        }
    }
}

fn answering<F, B, E>(future: F) -> Answering
where
    F: Future<Output = Result<Response<B>, E>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    E: Into<BoxError>,
    B::Error: Into<BoxError>,
{
    Box::pin(async move {
        let answer = future.await.map_err(Into::into)?;
        Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync()))
    })
}
