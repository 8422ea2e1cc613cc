//! The lines of the catalogue for requests above a limit, and for those an administrator keeps out.

use super::Entry;

/// What most of them say.
const OUT: &str = "Message throttled out";
const QUOTA: &str = "You have exceeded your quota";

pub(super) const API_LIMIT: Entry = Entry {
    code: "900800",
    status: 429,
    message: OUT,
    description: QUOTA,
    challenge: false,
    details: "tollgate_900800",
    meaning: "All callers together have used what the API's plan allows (`apiThrottlingPolicy`, or `x-wso2-throttling-tier` at the \
              top of the definition). `retry-after` says when the next window begins.",
};

pub(super) const RESOURCE_LIMIT: Entry = Entry {
    code: "900802",
    status: 429,
    message: OUT,
    description: QUOTA,
    challenge: false,
    details: "tollgate_900802",
    meaning: "All callers together have used what the operation's plan allows (`x-wso2-throttling-tier` of the operation).",
};

pub(super) const APPLICATION_LIMIT: Entry = Entry {
    code: "900803",
    status: 429,
    message: OUT,
    description: QUOTA,
    challenge: false,
    details: "tollgate_900803",
    meaning: "The application has used what its plan allows, over all APIs.",
};

pub(super) const SUBSCRIPTION_LIMIT: Entry = Entry {
    code: "900804",
    status: 429,
    message: OUT,
    description: QUOTA,
    challenge: false,
    details: "tollgate_900804",
    meaning: "The application has used what its subscription to this API allows, or sends more at a time than the plan's burst \
              control lets through.",
};

pub(super) const DENIED: Entry = Entry {
    code: "900805",
    status: 403,
    message: "Message blocked",
    description: "You have been blocked from accessing the resource",
    challenge: false,
    details: "tollgate_900805",
    meaning: "An administrator's deny condition holds for the API, the application, the user, the subscription or the address \
              of the client.",
};

pub(super) const CUSTOM_LIMIT: Entry = Entry {
    code: "900806",
    status: 429,
    message: OUT,
    description: QUOTA,
    challenge: false,
    details: "tollgate_900806",
    meaning: "The quota of a custom policy is used up for the key that the request makes.",
};
