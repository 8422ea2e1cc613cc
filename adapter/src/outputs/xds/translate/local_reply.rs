//! What Envoy says when it answers in a backend's stead: the codes and statuses of Choreo Connect, by response flag.
//!
//! Answers of the enforcer and the gateway's own pages carry no such flag, and so stay as they are. Callers of gRPC get
//! the body as `grpc-message`, which is Envoy's doing.

use envoy_types::pb::envoy::config::accesslog::v3 as accesslog;
use envoy_types::pb::envoy::config::accesslog::v3::access_log_filter::FilterSpecifier;
use envoy_types::pb::envoy::config::route::v3::HeaderMatcher;
use envoy_types::pb::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use envoy_types::pb::envoy::r#type::matcher::v3::{RegexMatcher, StringMatcher, string_matcher::MatchPattern};

use super::format::{JsonFormat, JsonMapper, LocalReplies, Members};
use super::{number, text_source};

/// Envoy's own words.
const ENVOY_SAYS: &str = "%LOCAL_REPLY_BODY%";

/// Response flag, status, code, message. The first that applies counts.
const REPLIES: [Reply; 15] = [
    ("NR", 404, "404", "Not Found"),
    ("UF", 503, "102503", "Upstream connection failed"),
    ("UT", 504, "102504", "Upstream connection timeout"),
    ("UO", 503, "102505", "Upstream overflow"),
    ("URX", 500, "102506", "Upstream maximum connect attempts reached"),
    ("NC", 500, "102507", "Upstream not configured for the resource"),
    ("UH", 503, "102508", "No healthy upstream"),
    ("UR", 503, "102509", "Upstream connection reset by the remote"),
    ("UC", 503, "102510", "Upstream connection termination"),
    ("LR", 503, "102511", "Connection reset by the gateway"),
    ("IH", 400, "102512", "Strictly checked header validation failure"),
    ("SI", 500, "102513", "Stream idle timeout"),
    ("DPE", 500, "102514", "HTTP protocol error in downstream request"),
    ("UPE", 500, "102515", "HTTP protocol error in upstream request"),
    ("UMSDR", 500, "102516", "Upstream request reached max stream duration"),
];

type Reply = (&'static str, u32, &'static str, &'static str);

/// Who is told in what form.
#[derive(Debug, Clone, Copy)]
enum Form {
    Json,
    Soap11,
    Soap12,
}

/// All of them; with `soap`, as SOAP faults to those who speak SOAP.
pub(super) fn local_replies(soap: bool) -> LocalReplies {
    let forms: &[Form] = if soap { &[Form::Soap11, Form::Soap12, Form::Json] } else { &[Form::Json] };
    LocalReplies {
        mappers: forms.iter().flat_map(|form| REPLIES.into_iter().map(|reply| mapper(reply, *form))).collect(),
    }
}

fn mapper(reply: Reply, form: Form) -> JsonMapper {
    let (flag, status, code, message) = reply;
    let description = if flag == "NR" { "The requested resource is not available." } else { ENVOY_SAYS };
    let flags = accesslog::ResponseFlagFilter { flags: vec![flag.to_owned()] };
    let flagged = filter(FilterSpecifier::ResponseFlagFilter(flags));
    let format = match form {
        Form::Json => JsonFormat {
            members: Some(Members::of([("code", code), ("message", message), ("description", description)])),
            content_type: "application/json".to_owned(),
            ..JsonFormat::default()
        },
        Form::Soap11 => soap("text/xml", fault_1_1(message, code, description)),
        Form::Soap12 => soap("application/soap+xml", fault_1_2(message, code, description)),
    };
    let told = match form {
        Form::Json => flagged,
        Form::Soap11 => both(vec![flagged, content_type("text/xml"), header("soapaction", present())]),
        Form::Soap12 => both(vec![flagged, content_type(r"application/soap\+xml")]),
    };
    JsonMapper { filter: Some(told), status_code: number(status), body_format_override: Some(format) }
}

fn filter(specifier: FilterSpecifier) -> accesslog::AccessLogFilter {
    accesslog::AccessLogFilter { filter_specifier: Some(specifier) }
}

fn both(filters: Vec<accesslog::AccessLogFilter>) -> accesslog::AccessLogFilter {
    filter(FilterSpecifier::AndFilter(accesslog::AndFilter { filters }))
}

/// That media type, whatever its parameters.
fn content_type(expression: &str) -> accesslog::AccessLogFilter {
    let regex = RegexMatcher { regex: format!(r"(?i)\s*{expression}\s*(;.*)?"), ..RegexMatcher::default() };
    let matcher = StringMatcher { match_pattern: Some(MatchPattern::SafeRegex(regex)), ..StringMatcher::default() };
    header("content-type", HeaderMatchSpecifier::StringMatch(matcher))
}

const fn present() -> HeaderMatchSpecifier {
    HeaderMatchSpecifier::PresentMatch(true)
}

fn header(name: &str, specifier: HeaderMatchSpecifier) -> accesslog::AccessLogFilter {
    let matcher =
        HeaderMatcher { name: name.to_owned(), header_match_specifier: Some(specifier), ..HeaderMatcher::default() };
    filter(FilterSpecifier::HeaderFilter(accesslog::HeaderFilter { header: Some(matcher) }))
}

fn soap(content_type: &str, body: String) -> JsonFormat {
    JsonFormat { content_type: content_type.to_owned(), text: Some(text_source(&body)), ..JsonFormat::default() }
}

/// Envoy does not escape its own words, so they are character data.
fn fault_1_1(message: &str, code: &str, description: &str) -> String {
    format!(
        "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"><soapenv:Body><soapenv:Fault>\
         <faultcode>soapenv:Server</faultcode><faultstring>{message}</faultstring>\
         <detail>{code}:<![CDATA[{description}]]></detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>"
    )
}

fn fault_1_2(message: &str, code: &str, description: &str) -> String {
    format!(
        "<soapenv:Envelope xmlns:soapenv=\"http://www.w3.org/2003/05/soap-envelope\"><soapenv:Body><soapenv:Fault>\
         <soapenv:Code><soapenv:Value>soapenv:Receiver</soapenv:Value></soapenv:Code>\
         <soapenv:Reason><soapenv:Text xml:lang=\"en\">{message}</soapenv:Text></soapenv:Reason>\
         <soapenv:Detail>{code}:<![CDATA[{description}]]></soapenv:Detail></soapenv:Fault></soapenv:Body>\
         </soapenv:Envelope>"
    )
}
