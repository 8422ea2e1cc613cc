//! Entry point of the fuzz target: what a global adapter may send. A panic is a finding.
#![allow(clippy::panic, reason = "a failed assertion is how a fuzzer reports")]

use envoy_types::pb::envoy::service::discovery::v3::DiscoveryResponse;
use prost::Message as _;

use super::list::{Conversation, different};

/// An answer: its list is taken over as a whole, or refused with a reason.
pub fn answer(data: &[u8]) {
    let Ok(answer) = DiscoveryResponse::decode(data) else { return };
    let mut conversation = Conversation::new("label".to_owned());
    let (heard, reply) = conversation.hear(&answer);
    assert_eq!(reply.response_nonce, answer.nonce);
    match heard {
        Ok(listed) => {
            assert_eq!(reply.version_info, answer.version_info);
            assert!(reply.error_detail.is_none() && listed.len() <= answer.resources.len());
            assert!(listed.keys().all(|uuid| !uuid.is_empty() && !uuid.chars().any(char::is_control)));
            assert!(different(&listed, &listed).is_empty(), "the same again");
        }
        Err(error) => {
            assert!(reply.version_info.is_empty() && reply.error_detail.is_some());
            let shown = error.to_string();
            assert!(shown.len() < 1000 && !shown.chars().any(char::is_control), "{shown:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::inputs::event_hub::fuzzing::seeds;

    #[test]
    fn what_a_global_adapter_sends_goes_through_its_target() {
        seeds::run("global_adapter", 20_000, super::answer);
    }
}
