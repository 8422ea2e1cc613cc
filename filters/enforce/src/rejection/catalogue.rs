//! The catalogue: code, status and texts of every rejection, as Choreo Connect has them. `docs/error-codes.md` is made
//! from it and tested against it.

use super::throttling;

/// One line of the catalogue.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// `code` of the body.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// `error_message` of the body.
    pub message: &'static str,
    /// `error_description` of the body, or the end of it.
    pub description: &'static str,
    /// Whether the reply carries `www-authenticate`.
    pub challenge: bool,
    /// Response code details in Envoy's access log.
    pub details: &'static str,
    /// When it happens, and what to do about it: for the documentation.
    pub meaning: &'static str,
}

/// All of them, by code.
pub const CATALOGUE: [&Entry; 37] = [
    &AMBIGUOUS_PATH,
    &MALFORMED,
    &NO_UPGRADE,
    &UPGRADE,
    &NOT_FOUND,
    &BODY_TOO_LARGE,
    &UNREADABLE,
    &CALLBACKS_MISSING,
    &FOREIGN_ROUTES,
    &NO_EVIDENCE,
    &NOT_READY,
    &INTERCEPTOR_FAILED,
    &INTERCEPTOR_ANSWER,
    &API_BLOCKED,
    &INVALID_QUERY,
    &throttling::API_LIMIT,
    &throttling::RESOURCE_LIMIT,
    &throttling::APPLICATION_LIMIT,
    &throttling::SUBSCRIPTION_LIMIT,
    &throttling::DENIED,
    &throttling::CUSTOM_LIMIT,
    &QUERY_TOO_DEEP,
    &QUERY_TOO_COMPLEX,
    &BAD_PREFERENCE,
    &NOT_MOCKED,
    &UNJUDGED,
    &NO_BACKEND_JWT,
    &BAD_CERTIFICATE,
    &INVALID_CREDENTIALS,
    &SUBSCRIPTION_BLOCKED,
    &FORBIDDEN,
    &NOT_SUBSCRIBED,
    &SUBSCRIPTION_INACTIVE,
    &SCOPE_MISSING,
    &POLICY_DENIED,
    &POLICY_AGENT_FAILED,
    &POLICY_AGENT_UNCLEAR,
];

pub(super) const AMBIGUOUS_PATH: Entry = Entry {
    code: "400",
    status: 400,
    message: "Bad Request",
    description: "The request path can be read in more than one way.",
    challenge: false,
    details: "tollgate_400",
    meaning: "The path holds an encoded slash, a dot segment, a double slash, a backslash or a path parameter, and read \
              leniently it reaches another resource than read literally. Send the path in its plain form.",
};

pub(super) const MALFORMED: Entry = Entry {
    code: "400",
    status: 400,
    message: "Bad Request",
    description: "The request headers cannot be read.",
    challenge: false,
    details: "tollgate_400_malformed",
    meaning: "The request has more than 1,024 headers.",
};

pub(super) const NO_UPGRADE: Entry = Entry {
    code: "400",
    status: 400,
    message: "Bad Request",
    description: "This API is a WebSocket, which is opened by an upgrade.",
    challenge: false,
    details: "tollgate_400_no_upgrade",
    meaning: "A plain request was sent to an API of type WS. Use a WebSocket client, as in `ws://<host>/<path>`, and see \
              whether a proxy on the way takes the `upgrade` header away.",
};

pub(super) const UPGRADE: Entry = Entry {
    code: "403",
    status: 403,
    message: "Forbidden",
    description: "This API does not take upgrades to that protocol.",
    challenge: false,
    details: "tollgate_403_upgrade",
    meaning: "The request wants to change the protocol of the connection (`upgrade` header), and the API is no WebSocket API, or \
              the protocol is another one than `websocket`. What came after would pass the gateway unseen.",
};

pub(super) const NOT_FOUND: Entry = Entry {
    code: "404",
    status: 404,
    message: "Not Found",
    description: "The requested resource is not available.",
    challenge: false,
    details: "tollgate_404",
    meaning: "No API lies at this host and path, or the API has no resource that takes this path and method. Look at the \
              host (virtual host), the base path with its version, and the method.",
};

pub(super) const BODY_TOO_LARGE: Entry = Entry {
    code: "413",
    status: 413,
    message: "Payload Too Large",
    description: "The request body is larger than the number of bytes allowed.",
    challenge: false,
    details: "tollgate_413",
    meaning: "The operation needs the whole body of a request before the backend gets it (an interceptor, for example), and \
              this one does not fit into the gateway's buffer. See `router.perConnectionBufferLimitBytes` \
              or send less.",
};

pub(super) const CALLBACKS_MISSING: Entry = Entry {
    code: "102500",
    status: 500,
    message: "Unclassified Validation Failure",
    description: "Error during validating the request",
    challenge: false,
    details: "tollgate_102500_callbacks",
    meaning: "The operation needs bodies or responses, and Envoy does not hand them to the filter. With the adapter's \
              own gateways this passes within a moment of the API's deployment. In a mesh, add what the log of Envoy names to \
              `callbacks` of the plugin's configuration.",
};

pub(super) const NO_EVIDENCE: Entry = Entry {
    code: "102500",
    status: 500,
    message: "Unclassified Validation Failure",
    description: "Error during validating the request",
    challenge: false,
    details: "tollgate_102500_evidence",
    meaning: "The gateway has one module for each part of the enforcement, and the one that has to come before this one is missing, \
              is there twice or comes later, or a filter between the two has changed the host, path or method. The order is in \
              docs/mesh.md.",
};

pub(super) const FOREIGN_ROUTES: Entry = Entry {
    code: "102500",
    status: 500,
    message: "Unclassified Validation Failure",
    description: "Error during validating the request",
    challenge: false,
    details: "tollgate_102500_foreign_routes",
    meaning: "An interceptor sends the request to another endpoint, but the plugin's configuration says with `ownRoutes: false` \
              that routes belong to somebody else, who knows nothing of it.",
};

pub(super) const UNREADABLE: Entry = Entry {
    code: "102500",
    status: 500,
    message: "Unclassified Validation Failure",
    description: "Error during validating the request",
    challenge: false,
    details: "tollgate_102500_unreadable",
    meaning: "The gateway has configuration for this API that it cannot read or enforce, for example \
              because the adapter is newer than the filter. Only this API is denied; the log of Envoy says why.",
};

pub(super) const NOT_READY: Entry = Entry {
    code: "102500",
    status: 503,
    message: "Unclassified Validation Failure",
    description: "Error during validating the request",
    challenge: false,
    details: "tollgate_102500_not_ready",
    meaning: "The gateway has started but has not received its configuration from the adapter yet. See whether the \
              adapter runs and can be reached; `/ready` answers 200 once the gateway is able to serve.",
};

pub(super) const INTERCEPTOR_FAILED: Entry = Entry {
    code: "103500",
    status: 500,
    message: "Internal Server Error",
    description: "Internal Server Error",
    challenge: false,
    details: "tollgate_103500",
    meaning: "An interceptor of the operation could not be reached, did not answer in time, or answered with another status \
              than 200 and 204. See the service's own log, its `serviceURL`, `requestTimeout` and certificates.",
};

pub(super) const INTERCEPTOR_ANSWER: Entry = Entry {
    code: "103501",
    status: 500,
    message: "Internal Server Error",
    description: "Internal Server Error",
    challenge: false,
    details: "tollgate_103501",
    meaning: "An interceptor has answered something that cannot be carried out: no JSON, members of the wrong type, a body that is \
              no base64 or that it was not told (`includes`), trailers, a status outside 200 to 599, or an endpoint that is \
              not in `x-wso2-endpoints`.",
};

pub(super) const API_BLOCKED: Entry = Entry {
    code: "700700",
    status: 503,
    message: "API blocked",
    description: "This API has been blocked temporarily. Please try again later or contact the system administrators.",
    challenge: true,
    details: "tollgate_700700",
    meaning: "The API's life cycle state is BLOCKED.",
};

pub(super) const INVALID_QUERY: Entry = Entry {
    code: "900422",
    status: 400,
    message: "INVALID QUERY",
    description: "<what is wrong with it>",
    challenge: false,
    details: "tollgate_900422",
    meaning: "The body of a request to a GraphQL API is no query that fits the schema, or comes in a form that is not read: \
              the content type is neither application/json nor application/graphql, the body is compressed, members are \
              unknown or there twice, or the URL holds a query.",
};

pub(super) const QUERY_TOO_DEEP: Entry = Entry {
    code: "900820",
    status: 400,
    message: "QUERY TOO DEEP",
    description: "[maximum query depth exceeded <depth> > <limit>]",
    challenge: false,
    details: "tollgate_900820",
    meaning: "The fields of a GraphQL query are nested deeper than the caller's subscription allows.",
};

pub(super) const QUERY_TOO_COMPLEX: Entry = Entry {
    code: "900821",
    status: 400,
    message: "QUERY TOO COMPLEX",
    description: "[maximum query complexity exceeded <complexity> > <limit>]",
    challenge: false,
    details: "tollgate_900821",
    meaning: "A GraphQL query weighs more than the caller's subscription allows. Its weight is made of the numbers given for \
              `first`, `last` and `limit` and of the weights of the project's graphql-complexity file.",
};

pub(super) const BAD_PREFERENCE: Entry = Entry {
    code: "900870",
    status: 400,
    message: "Bad Request",
    description: "Invalid format for code preference",
    challenge: false,
    details: "tollgate_900870",
    meaning: "The API is mocked, and the `prefer` header asks for a code that is not a status from 200 to 599.",
};

pub(super) const NOT_MOCKED: Entry = Entry {
    code: "900871",
    status: 501,
    message: "Not Implemented",
    description: "<what> is not supported for this resource",
    challenge: false,
    details: "tollgate_900871",
    meaning: "The API is mocked, and its definition has no example for the code, the media type (`accept`) or the name that \
              the request prefers.",
};

pub(super) const UNJUDGED: Entry = Entry {
    code: "900900",
    status: 401,
    message: "Unclassified Authentication Failure",
    description: "Unclassified Authentication Failure",
    challenge: true,
    details: "tollgate_900900",
    meaning: "The token names a key that the gateway does not have, and the keys of its issuer could not be fetched. See \
              whether the adapter can reach the issuer's JWKS address.",
};

pub(super) const NO_BACKEND_JWT: Entry = Entry {
    code: "900900",
    status: 401,
    message: "Unclassified Authentication Failure",
    description: "Unclassified Authentication Failure",
    challenge: true,
    details: "tollgate_900900_backend_jwt",
    meaning: "Backends are to be told who calls (`enforcer.jwtGenerator`), and the adapter could not be reached for a token or \
              refused to make one. Its log says why.",
};

pub(super) const INVALID_CREDENTIALS: Entry = Entry {
    code: "900901",
    status: 401,
    message: "Invalid Credentials",
    description: "Make sure you have provided the correct security credentials",
    challenge: true,
    details: "tollgate_900901",
    meaning: "No credentials, credentials of a kind this operation does not take, or a token that is not good: not a JWT, \
              unknown issuer or key, wrong signature, expired, not valid yet, revoked, or a key type without a backend.",
};

pub(super) const BAD_CERTIFICATE: Entry = Entry {
    code: "900900",
    status: 401,
    message: "Unclassified Authentication Failure",
    description: "Invalid client certificate",
    challenge: true,
    details: "tollgate_900900_certificate",
    meaning: "The caller has shown a certificate that is not among the client certificates of the API's project, or the \
              header that carries it holds something else.",
};

pub(super) const FORBIDDEN: Entry = Entry {
    code: "900908",
    status: 403,
    message: "Resource forbidden ",
    description: "Resource forbidden ",
    challenge: true,
    details: "tollgate_900908",
    meaning: "An API key or test-console key is good, but not for this API (`subscribedAPIs`), or not for use from the \
              client's address (`permittedIP`) or page (`permittedReferer`).",
};

pub(super) const NOT_SUBSCRIBED: Entry = Entry {
    code: "900908",
    status: 403,
    message: "Resource forbidden ",
    description: SUBSCRIPTION_FAILED,
    challenge: true,
    details: "tollgate_900908_subscription",
    meaning: "The token is good, but the gateway does not know its consumer key, or the application that the key belongs to \
              has not subscribed to this API. Subscribe, or look at the key manager's name and the consumer key in the \
              subscriptions file.",
};

pub(super) const SUBSCRIPTION_BLOCKED: Entry = Entry {
    code: "900907",
    status: 401,
    message: "The requested API is temporarily blocked",
    description: "API Subscription is blocked",
    challenge: true,
    details: "tollgate_900907",
    meaning: "The application's subscription to the API is BLOCKED, or PROD_ONLY_BLOCKED and the key is one for production.",
};

pub(super) const SUBSCRIPTION_INACTIVE: Entry = Entry {
    code: "900909",
    status: 403,
    message: "The subscription to the API is inactive",
    description: SUBSCRIPTION_FAILED,
    challenge: true,
    details: "tollgate_900909",
    meaning: "The application's subscription to the API is ON_HOLD, waiting for approval, or REJECTED.",
};

const SUBSCRIPTION_FAILED: &str = "User is NOT authorized to access the Resource. API Subscription validation failed.";

pub(super) const SCOPE_MISSING: Entry = Entry {
    code: "900910",
    status: 403,
    message: "The access token does not allow you to access the requested resource",
    description: "User is NOT authorized to access the Resource: <path template>. Scope validation failed.",
    challenge: true,
    details: "tollgate_900910",
    meaning: "The operation asks for scopes and the token holds none of them.",
};

pub(super) const POLICY_DENIED: Entry = Entry {
    code: "901101",
    status: 403,
    message: "Forbidden",
    description: "",
    challenge: false,
    details: "tollgate_901101",
    meaning: "An OPA policy of the operation answered `{\"result\": false}`.",
};

pub(super) const POLICY_AGENT_FAILED: Entry = Entry {
    code: "901102",
    status: 500,
    message: "Internal Server Error",
    description: "",
    challenge: false,
    details: "tollgate_901102",
    meaning: "An OPA policy of the operation could not be asked: Open Policy Agent cannot be reached, did not answer in time, \
              or answered with a status other than 200. See `serverURL`, `policy`, `rule` and `accessKey` of the policy.",
};

pub(super) const POLICY_AGENT_UNCLEAR: Entry = Entry {
    code: "901103",
    status: 500,
    message: "Internal Server Error",
    description: "",
    challenge: false,
    details: "tollgate_901103",
    meaning: "Open Policy Agent answered, but not with `{\"result\": true}` or `{\"result\": false}`. An undefined rule is \
              answered with `{}`, so look at the names in `policy` and `rule` first, and give the rule a default.",
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The documentation page of the catalogue.
    fn page() -> String {
        let mut page = String::from(
            "# Error codes\n\n\
             Made from the catalogue in `filters/enforce/src/rejection/catalogue.rs`; a test keeps the two the same, and\n\
             `TOLLGATE_WRITE_DOCS=1 cargo test -p tollgate-enforce` writes this page.\n\n\
             The body of a refusal is JSON: `error_message`, `code`, `error_description`, in this order. Envoy's access log\n\
             shows the details as `%RESPONSE_CODE_DETAILS%`. Refusals marked with a challenge carry `www-authenticate`.\n\n\
             | code | status | `error_message` | details | challenge |\n|---|---|---|---|---|\n",
        );
        for entry in CATALOGUE {
            let challenge = if entry.challenge { "yes" } else { "no" };
            let Entry { code, status, message, details, .. } = entry;
            page.push_str(&format!("| {code} | {status} | {message} | `{details}` | {challenge} |\n"));
        }
        for entry in CATALOGUE {
            let Entry { status, description, details, meaning, .. } = entry;
            page.push_str(&format!("\n## `{details}` ({status})\n\n> {description}\n\n{meaning}\n"));
        }
        page
    }

    #[test]
    fn the_documentation_is_up_to_date() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/error-codes.md");
        if std::env::var_os("TOLLGATE_WRITE_DOCS").is_some() {
            std::fs::write(&path, page()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), page());
    }
}
