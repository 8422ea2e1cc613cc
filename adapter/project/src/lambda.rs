//! Functions of AWS Lambda as backends: `endpoint_type: awslambda` of api.yaml, and `x-amzn-resource-name` of operations.

use tollgate_model::Secret;

use super::document::Node;
use super::options::CompileOptions;
use super::unsupported::{ignore, warn_unknown};
use super::upstream::Upstream;
use crate::model::{AwsCredentials, Endpoint, LambdaFunction, Problems};

/// The extension that names the function of an operation.
pub const EXTENSION: &str = "x-amzn-resource-name";

/// How functions are called (`router.awsLambda`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LambdaOptions {
    /// Whether the body goes as it is, rather than the whole request as JSON.
    pub payload_passthrough: bool,
    /// Whether the answer of the function is awaited.
    pub synchronous: bool,
    /// Where functions are called; AWS itself in the function's region when absent.
    pub endpoint: Option<Endpoint>,
}

/// What an API says of all its functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LambdaAccess {
    options: LambdaOptions,
    credentials: Option<AwsCredentials>,
}

impl LambdaAccess {
    /// Reads `endpointConfig`, if it is about functions.
    pub fn read(config: &Node<'_>, options: &CompileOptions, problems: &mut Problems) -> Option<Self> {
        let kind = config.get("endpoint_type")?;
        if !kind.value().as_str()?.eq_ignore_ascii_case("awslambda") {
            return None;
        }
        let Some(options) = &options.lambda else {
            kind.error(
                problems,
                "the gateway does not call AWS Lambda",
                "it is switched off in the configuration",
                "set router.awsLambda.enabled = true",
            );
            return None;
        };
        if let Some(role) = config.get("amznRoleArn").filter(|role| role.value() != "") {
            let why = "calls are signed with the keys of the project, or of the gateway's environment";
            ignore(&role, "a role to assume", why, problems);
        }
        Some(Self { options: options.clone(), credentials: credentials(config, problems) })
    }

    /// The backend of a path: all its operations must name one function, because there is one backend a path.
    pub fn upstream(&self, path: &Node<'_>, operations: &[Node<'_>], problems: &mut Problems) -> Option<Upstream> {
        for other in ["x-wso2-production-endpoints", "x-wso2-sandbox-endpoints", "servers"] {
            if let Some(node) = path.get(other) {
                let what = format!("{other} is not read in an API of functions");
                node.warn(problems, what, "the function is the backend of the path", "remove it");
            }
        }
        let mut arn: Option<&str> = None;
        for operation in operations {
            let Some(node) = operation.get(EXTENSION) else {
                operation.error(
                    problems,
                    "the operation names no function",
                    "the API has no other backend",
                    "add x-amzn-resource-name: arn:aws:lambda:<region>:<account>:function:<name>",
                );
                return None;
            };
            let text = node.text(problems)?;
            if arn.is_some_and(|first| first != text) {
                node.error(
                    problems,
                    "the operation names another function than those before it",
                    "all operations of a path share one backend",
                    "use the same function, or another path",
                );
                return None;
            }
            arn = Some(text);
            if host(text).is_none() {
                node.error(
                    problems,
                    format!("{text:?} is no ARN of a function"),
                    "it could not be called",
                    "write arn:aws:lambda:<region>:<account>:function:<name>",
                );
                return None;
            }
        }
        let arn = arn.or_else(|| {
            path.error(problems, "the path has no operations", "it names no function", "add an operation");
            None
        })?;
        let endpoint = match &self.options.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => Endpoint { host: host(arn)?, port: 443, tls: true, trusted_ca: None, priority: 0, discovery: None },
        };
        let function = LambdaFunction {
            arn: arn.to_owned(),
            payload_passthrough: self.options.payload_passthrough,
            synchronous: self.options.synchronous,
            credentials: self.credentials.clone(),
        };
        Some(Upstream { endpoints: vec![endpoint], lambda: Some(function), ..Upstream::default() })
    }
}

/// Keys of the project, or none when the gateway's own environment provides them.
fn credentials(config: &Node<'_>, problems: &mut Problems) -> Option<AwsCredentials> {
    let method = config.get("access_method")?;
    match method.text(problems)?.to_ascii_lowercase().as_str() {
        "role-supplied" | "" => None,
        "stored" => {
            let text = |key: &str, problems: &mut Problems| {
                let node = config.get(key).filter(|node| node.value() != "");
                if node.is_none() {
                    let fix = format!("add {key}, or use access_method: role-supplied");
                    config.error(problems, format!("there is no {key}"), "calls could not be signed", &fix);
                }
                node.and_then(|node| node.text(problems)).map(str::to_owned)
            };
            let (access_key, secret_key) = (text("amznAccessKey", problems), text("amznSecretKey", problems));
            Some(AwsCredentials { access_key: access_key?, secret_key: Secret::from(secret_key?) })
        }
        _ => {
            method.error(
                problems,
                "this way to get credentials is not known",
                "calls could not be signed",
                "write role-supplied or stored",
            );
            None
        }
    }
}

/// Host of the service in the region of a function.
fn host(arn: &str) -> Option<String> {
    let parts: Vec<&str> = arn.split(':').collect();
    let (partition, region, account, name) = match parts.as_slice() {
        ["arn", partition, "lambda", region, account, "function", name] => (partition, region, account, name),
        ["arn", partition, "lambda", region, account, "function", name, qualifier] if plain(qualifier, "$_-") => {
            (partition, region, account, name)
        }
        _ => return None,
    };
    let digits = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    let region_is_plain = plain(region, "-") && *region == region.to_ascii_lowercase();
    let suffix = match *partition {
        "aws" | "aws-us-gov" => "",
        "aws-cn" => ".cn",
        _ => return None,
    };
    (digits && region_is_plain && plain(name, "_-")).then(|| format!("lambda.{region}.amazonaws.com{suffix}"))
}

fn plain(text: &str, others: &str) -> bool {
    !text.is_empty() && text.chars().all(|character| character.is_ascii_alphanumeric() || others.contains(character))
}

/// Says of functions that they are not called.
pub fn check_unused(operation: &Node<'_>, problems: &mut Problems) {
    if let Some(node) = operation.get(EXTENSION) {
        node.warn(
            problems,
            "the operation names a function, but the API does not call AWS Lambda",
            "requests go to the backend of the API",
            "set endpoint_type: awslambda in endpointConfig of api.yaml, or remove the extension",
        );
    }
}

/// Warns of what nobody reads in the configuration of functions.
pub fn warn_of_others(config: &Node<'_>, problems: &mut Problems) {
    const KNOWN: [&str; 9] = [
        "endpoint_type",
        "access_method",
        "amznAccessKey",
        "amznSecretKey",
        "amznRegion",
        "amznRoleArn",
        "amznRoleSessionName",
        "amznRoleRegion",
        "implementation_status",
    ];
    warn_unknown(config, &KNOWN, problems);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:function:hello";

    #[test]
    fn functions_are_called_in_their_region() {
        for (arn, expected) in [
            (ARN, Some("lambda.us-east-1.amazonaws.com")),
            ("arn:aws:lambda:eu-west-1:123456789012:function:a_b-1:PROD", Some("lambda.eu-west-1.amazonaws.com")),
            (
                "arn:aws-cn:lambda:cn-north-1:123456789012:function:x:$LATEST",
                Some("lambda.cn-north-1.amazonaws.com.cn"),
            ),
            ("arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:x", Some("lambda.us-gov-west-1.amazonaws.com")),
            ("hello", None),
            ("arn:aws:lambda:us-east-1:123:function:x", None),
            ("arn:aws:lambda:us-east-1:123456789012:function:", None),
            ("arn:aws:lambda:us-east-1.evil.example/:123456789012:function:x", None),
            ("arn:aws:s3:us-east-1:123456789012:function:x", None),
            ("arn:other:lambda:us-east-1:123456789012:function:x", None),
            ("arn:aws:lambda:us-east-1:123456789012:function:x:a:b", None),
        ] {
            assert_eq!(host(arn).as_deref(), expected, "{arn}");
        }
    }

    #[track_caller]
    fn check(config: Value, path: Value, on: bool, expected: Result<(&str, Option<&str>), &str>) {
        let lambda = LambdaOptions { payload_passthrough: true, synchronous: true, endpoint: None };
        let options = CompileOptions { lambda: on.then_some(lambda), ..CompileOptions::default() };
        let mut problems = Problems::new();
        let access = LambdaAccess::read(&Node::root("api.yaml", &config), &options, &mut problems);
        let root = Node::root("swagger.yaml", &path);
        let operations: Vec<_> = root.members(&mut problems).into_iter().map(|(_, node)| node).collect();
        let found = access.and_then(|access| access.upstream(&root, &operations, &mut problems));
        let report: Vec<String> = problems.errors().map(ToString::to_string).collect();
        assert!(!format!("{found:?}{report:?}").contains("hush"));
        match expected {
            Ok((host, key)) => {
                assert_eq!(report, [""; 0]);
                let upstream = found.unwrap();
                let function = upstream.lambda.unwrap();
                assert_eq!((upstream.endpoints[0].host.as_str(), upstream.endpoints[0].tls), (host, true));
                assert_eq!(function.arn, ARN);
                assert_eq!(function.credentials.map(|credentials| credentials.access_key).as_deref(), key);
            }
            Err(part) => assert!(report.len() == 1 && report[0].contains(part), "{report:?}"),
        }
    }

    #[test]
    fn functions_of_a_project() {
        let config = |more: Value| {
            let mut config = json!({"endpoint_type": "awslambda"});
            config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            config
        };
        let one = || json!({"get": {EXTENSION: ARN}, "post": {EXTENSION: ARN}});
        let stored = json!({"access_method": "stored", "amznAccessKey": "AKID", "amznSecretKey": "hush"});
        let host = "lambda.us-east-1.amazonaws.com";
        check(config(json!({})), one(), true, Ok((host, None)));
        check(config(json!({"access_method": "role-supplied"})), one(), true, Ok((host, None)));
        check(config(stored), one(), true, Ok((host, Some("AKID"))));
        check(config(json!({})), one(), false, Err("switched off"));
        check(config(json!({"access_method": "stored", "amznAccessKey": "a"})), one(), true, Err("no amznSecretKey"));
        check(config(json!({"access_method": "magic"})), one(), true, Err("not known"));
        check(config(json!({"amznRoleArn": "arn:x"})), one(), true, Ok((host, None)));
        check(config(json!({})), json!({"get": {}}), true, Err("names no function"));
        let two = json!({"get": {EXTENSION: ARN}, "post": {EXTENSION: format!("{ARN}2")}});
        check(config(json!({})), two, true, Err("another function"));
        check(config(json!({})), json!({"get": {EXTENSION: "hello"}}), true, Err("no ARN"));
        check(config(json!({})), json!({}), true, Err("no operations"));
    }
}
