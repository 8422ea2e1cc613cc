//! A question of a request whose answer is on its way. Must never be answered twice, so answering consumes it.

use tollgate_enforce::{Answer, Question};

use super::carry;
use crate::quota::{self, Asked};
use crate::{CallId, Response, Worker};

/// A call-out that a request waits for.
pub(crate) struct UnderWay {
    pub(crate) call: CallId,
    pub(crate) question: Question,
    /// What is leased goes back to its owner when nobody waits for the answer any more.
    pub(crate) lease: Option<Asked>,
}

impl UnderWay {
    /// Reads the answer.
    pub(super) fn answer(self, worker: &Worker, response: Response) -> (Question, Answer) {
        let Self { question, lease, .. } = self;
        let abi = worker.abi.as_ref();
        let answer = match (&question, lease) {
            (Question::Quota { asks, .. }, Some(asked)) => {
                let granted = quota::take(&worker.directory.quotas, abi, asks, asked, response);
                if granted { Answer::Granted } else { Answer::Failed }
            }
            _ => carry::read_answer(abi, &question, response),
        };
        (question, answer)
    }
}
