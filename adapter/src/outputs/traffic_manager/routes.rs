//! `POST /v1/usage`: gateways report uses. Only gateways get here: the server asks for a client certificate.

use bytes::Bytes;
use http::{Response, StatusCode};
use tollgate_model::{MAX_USES, UsageReport};
use warp::{Filter, Rejection};

use super::Publisher;
use crate::outputs::body;

/// Most bytes of a report.
const MAX_REPORT: usize = 8 * 1024 * 1024;

/// The route. Without a publisher there is nobody to tell.
pub fn routes(
    publisher: Option<Publisher>,
) -> impl Filter<Extract = (Response<Bytes>,), Error = Rejection> + Clone + Send + Sync + 'static {
    warp::path!("v1" / "usage").and(warp::post()).and(warp::body::stream()).then(move |content| {
        let publisher = publisher.clone();
        async move {
            let (status, text) = match body::read(content, MAX_REPORT).await {
                Err(error) => (StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
                Ok(report) => take(publisher.as_ref(), &report),
            };
            let mut response = Response::new(Bytes::from(text));
            *response.status_mut() = status;
            response
        }
    })
}

fn take(publisher: Option<&Publisher>, report: &[u8]) -> (StatusCode, String) {
    let Some(publisher) = publisher else {
        return (StatusCode::NOT_FOUND, "uses are not published here".to_owned());
    };
    match serde_json::from_slice::<UsageReport>(report) {
        Ok(report) if report.uses.len() <= MAX_USES => {
            publisher.publish(report);
            (StatusCode::OK, String::new())
        }
        Ok(_) => (StatusCode::BAD_REQUEST, format!("at most {MAX_USES} different uses")),
        Err(error) => (StatusCode::BAD_REQUEST, format!("no report of uses: {error}")),
    }
}
