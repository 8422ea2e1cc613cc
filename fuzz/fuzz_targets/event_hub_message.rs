//! A message of API Manager's broker, as it came, or packed into its envelope: the first line is the kind of event, the rest is what
//! happened.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate_adapter::inputs::event_hub::fuzzing::message(data));
