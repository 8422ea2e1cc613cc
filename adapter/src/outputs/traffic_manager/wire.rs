//! The binary protocol of WSO2's data bridge, as far as a publisher speaks it. Numbers are big-endian; texts are UTF-8 with their
//! length before them. Pure; must never trust a length that it reads.

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tollgate_model::Usage;

/// The stream that uses are published to.
pub const STREAM: &str = "org.wso2.throttle.request.stream:1.0.0";

const LOGIN: u8 = 0;
const LOGOUT: u8 = 1;
const PUBLISH: u8 = 2;
const OK: u8 = 0;
const ERROR: u8 = 1;
const WELCOME: u8 = 2;
/// Longest text of an answer.
const MAX_TEXT: usize = 64 * 1024;

/// One use as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Unique.
    pub id: String,
    /// When it happened, in milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// What.
    pub usage: std::sync::Arc<Usage>,
}

/// What a receiver answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Done.
    Done,
    /// Signed in, in this session.
    Session(String),
    /// Not done.
    Error {
        /// Java class of the error, without its package.
        class: String,
        /// What it says.
        message: String,
    },
}

/// Why an answer cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The connection broke.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Something else than the protocol.
    #[error("the answer is none of the data bridge")]
    Foreign,
}

/// Signs in.
#[must_use]
pub fn login(user: &str, password: &str) -> Vec<u8> {
    let mut body = Writer::default();
    body.length(user.len()).length(password.len()).bytes(user).bytes(password);
    framed(LOGIN, body)
}

/// Signs out.
#[must_use]
pub fn logout(session: &str) -> Vec<u8> {
    let mut body = Writer::default();
    body.text(session);
    framed(LOGOUT, body)
}

/// Publishes.
#[must_use]
pub fn publish(session: &str, events: &[Event]) -> Vec<u8> {
    let mut body = Writer::default();
    body.text(session).length(events.len());
    for event in events {
        let mut one = Writer::default();
        one.0.extend_from_slice(&event.timestamp_ms.to_be_bytes());
        one.text(STREAM);
        for attribute in attributes(event) {
            one.text(attribute);
        }
        body.length(one.0.len()).0.extend_from_slice(&one.0);
    }
    framed(PUBLISH, body)
}

/// The attributes of the stream, in its order.
fn attributes(event: &Event) -> [&str; 17] {
    let Usage {
        app_key,
        app_tier,
        api_key,
        api_tier,
        subscription_key,
        subscription_tier,
        resource_key,
        resource_tier,
        user_id,
        api_context,
        api_version,
        app_tenant,
        api_tenant,
        app_id,
        api_name,
        properties,
    } = event.usage.as_ref();
    [
        &event.id,
        app_key,
        app_tier,
        api_key,
        api_tier,
        subscription_key,
        subscription_tier,
        resource_key,
        resource_tier,
        user_id,
        api_context,
        api_version,
        app_tenant,
        api_tenant,
        app_id,
        api_name,
        properties,
    ]
}

/// Reads one answer.
///
/// # Errors
/// When there is none, or none of this protocol.
pub async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> Result<Answer, AnswerError> {
    match stream.read_u8().await? {
        OK => Ok(Answer::Done),
        WELCOME => {
            let length = read_length(stream).await?;
            Ok(Answer::Session(read_text(stream, length).await?))
        }
        ERROR => {
            let (class, message) = (read_length(stream).await?, read_length(stream).await?);
            let class = read_text(stream, class).await?;
            let message = read_text(stream, message).await?;
            Ok(Answer::Error { class: class.rsplit('.').next().unwrap_or_default().to_owned(), message })
        }
        _ => Err(AnswerError::Foreign),
    }
}

async fn read_length(stream: &mut (impl AsyncRead + Unpin)) -> Result<usize, AnswerError> {
    let length = usize::try_from(stream.read_i32().await?).map_err(|_| AnswerError::Foreign)?;
    if length > MAX_TEXT { Err(AnswerError::Foreign) } else { Ok(length) }
}

async fn read_text(stream: &mut (impl AsyncRead + Unpin), length: usize) -> Result<String, AnswerError> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn framed(kind: u8, body: Writer) -> Vec<u8> {
    let mut frame = Writer(vec![kind]);
    frame.length(body.0.len()).0.extend_from_slice(&body.0);
    frame.0
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn length(&mut self, length: usize) -> &mut Self {
        // Batches are bounded far below this.
        self.0.extend_from_slice(&i32::try_from(length).unwrap_or(i32::MAX).to_be_bytes());
        self
    }

    fn bytes(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.length(text.len()).bytes(text)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::collection;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn frames_have_the_lengths_that_the_protocol_says() {
        assert_eq!(login("ab", "c"), b"\0\0\0\0\x0b\0\0\0\x02\0\0\0\x01abc");
        assert_eq!(logout("xyz"), b"\x01\0\0\0\x07\0\0\0\x03xyz");
        let usage = Usage { app_key: "k".to_owned(), properties: "{}".to_owned(), ..Usage::default() };
        let event = Event { id: "m".to_owned(), timestamp_ms: 258, usage: Arc::new(usage) };
        let bytes = publish("s", std::slice::from_ref(&event));
        // 8 of the timestamp, the stream and 17 attributes with their lengths.
        let event_length = 8 + 4 + STREAM.len() + 17 * 4 + "m".len() + "k".len() + "{}".len();
        let expected_head = [
            vec![2],
            i32::try_from(4 + 1 + 4 + 4 + event_length).unwrap().to_be_bytes().to_vec(),
            b"\0\0\0\x01s\0\0\0\x01".to_vec(),
            i32::try_from(event_length).unwrap().to_be_bytes().to_vec(),
            258_i64.to_be_bytes().to_vec(),
        ]
        .concat();
        assert!(bytes.starts_with(&expected_head), "{bytes:?}");
        assert!(bytes.ends_with(b"\0\0\0\x02{}"));
        assert_eq!(bytes.len(), 1 + 4 + 4 + 1 + 4 + 4 + event_length);
    }

    /// What is left of a frame, read without the code under test.
    struct Frame<'f>(&'f [u8]);

    impl<'f> Frame<'f> {
        fn take(&mut self, count: usize) -> &'f [u8] {
            let (taken, rest) = self.0.split_at(count);
            self.0 = rest;
            taken
        }

        fn number(&mut self) -> usize {
            i32::from_be_bytes(self.take(4).try_into().unwrap()).try_into().unwrap()
        }

        fn text(&mut self) -> String {
            let length = self.number();
            String::from_utf8(self.take(length).to_vec()).unwrap()
        }
    }

    proptest! {
        #[test]
        fn whatever_is_published_can_be_taken_apart(
            session in ".*",
            events in collection::vec((".*", any::<i64>(), ".*", ".*"), 0..5),
        ) {
            let event = |(id, timestamp_ms, app_key, properties): &(String, i64, String, String)| {
                let usage = Usage { app_key: app_key.clone(), properties: properties.clone(), ..Usage::default() };
                Event { id: id.clone(), timestamp_ms: *timestamp_ms, usage: Arc::new(usage) }
            };
            let sent: Vec<Event> = events.iter().map(event).collect();
            let bytes = publish(&session, &sent);
            let mut frame = Frame(&bytes);
            prop_assert_eq!(frame.take(1), [2]);
            let size = frame.number();
            prop_assert_eq!(size, frame.0.len());
            prop_assert_eq!(frame.text(), session);
            prop_assert_eq!(frame.number(), sent.len());
            for event in &sent {
                let size = frame.number();
                let mut one = Frame(frame.take(size));
                prop_assert_eq!(one.take(8), event.timestamp_ms.to_be_bytes());
                prop_assert_eq!(one.text(), STREAM);
                for attribute in attributes(event) {
                    prop_assert_eq!(one.text(), attribute);
                }
                prop_assert!(one.0.is_empty());
            }
            prop_assert!(frame.0.is_empty());
        }

        #[test]
        fn an_answer_ends_where_it_says(texts in (".*", ".*"), kind in 0..3_u8, rest in collection::vec(any::<u8>(), 0..9)) {
            let length = |text: &str| i32::try_from(text.len()).unwrap().to_be_bytes();
            let (class, message) = &texts;
            let (bytes, expected) = match kind {
                0 => (vec![], Answer::Done),
                1 => {
                    let bytes = [&length(class)[..], &length(message), class.as_bytes(), message.as_bytes()].concat();
                    let class = class.rsplit('.').next().unwrap().to_owned();
                    (bytes, Answer::Error { class, message: message.clone() })
                }
                _ => ([&length(class)[..], class.as_bytes()].concat(), Answer::Session(class.clone())),
            };
            let end = 1 + bytes.len();
            let mut stream = std::io::Cursor::new([vec![kind], bytes, rest].concat());
            let read = block_on(read_answer(&mut stream)).unwrap();
            prop_assert_eq!(read, expected);
            prop_assert_eq!(usize::try_from(stream.position()).unwrap(), end);
        }

        #[test]
        fn nothing_that_is_read_brings_it_down(bytes in collection::vec(any::<u8>(), 0..64)) {
            // Whatever comes of it.
            let _ = block_on(read_answer(&mut std::io::Cursor::new(bytes)));
        }
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[tokio::test]
    async fn answers_are_read_and_nothing_else() {
        for (bytes, expected) in [
            (&b"\0"[..], Some(Answer::Done)),
            (b"\x02\0\0\0\x03abc", Some(Answer::Session("abc".to_owned()))),
            (
                b"\x01\0\0\0\x05\0\0\0\x02a.b.Cno",
                Some(Answer::Error { class: "C".to_owned(), message: "no".to_owned() }),
            ),
            (b"\x03", None),
            (b"", None),
            (b"\x02\0\0\0\x04abc", None),
            (b"\x02\xff\xff\xff\xffabc", None),
            (b"\x02\x7f\xff\xff\xffabc", None),
        ] {
            let answer = read_answer(&mut std::io::Cursor::new(bytes)).await.ok();
            assert_eq!(answer, expected, "{bytes:?}");
        }
    }
}
