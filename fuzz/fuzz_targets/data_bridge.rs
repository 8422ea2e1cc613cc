//! What a receiver of the data bridge answers to whoever publishes to it.
#![no_main]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tollgate_adapter::outputs::traffic_manager::wire::read_answer;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    // Bytes that are all there keep nobody waiting.
    let Poll::Ready(read) = pin!(read_answer(&mut rest)).poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it waits for more");
    };
    if read.is_ok() {
        assert!(rest.len() < bytes.len(), "an answer has at least a byte");
    }
});
