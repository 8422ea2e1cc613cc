//! A subscriptions file, as whoever may edit it may write it.
#![no_main]

use tollgate_adapter::inputs::subscriptions::read;
use tollgate_adapter::model::Subscribers;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for file in ["subscriptions.yaml", "subscriptions.json"] {
        let document = match read(file, data) {
            Ok(document) => document,
            Err(problems) => {
                assert!(problems.has_errors(), "a refusal says why");
                continue;
            }
        };
        assert!(!document.warnings.has_errors());
        let (applications, credentials) = (document.applications.len(), document.credentials.len());
        let mut subscribers = Subscribers::default();
        document.clone().apply(&mut subscribers);
        // Nothing of it takes the place of something else of it.
        assert_eq!((subscribers.applications.len(), subscribers.credentials.len()), (applications, credentials));
        let before = subscribers.clone();
        document.apply(&mut subscribers);
        assert_eq!(subscribers.applications.changed(&before.applications).count(), 0, "the same again");
        assert_eq!(subscribers.revoked.changed(&before.revoked).count(), 0, "the same again");
    }
});
