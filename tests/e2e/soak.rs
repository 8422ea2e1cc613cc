//! Under constant change no answer is wrong. `./just soak` does the same for half an hour.

use std::time::Duration;

use tollgate_tests::soak::{Churn, soak};

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_wrong_while_everything_changes() {
    let account = soak(Duration::from_secs(25), Churn { bursts: 2, pushes: 3 }).await.unwrap();
    assert_eq!((account.pushes, account.revocations), (6, 6));
    assert!(account.requests > 100, "{account:?}");
}
