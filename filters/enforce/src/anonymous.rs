//! The application on whose behalf tokens count whose issuer says nothing of subscriptions: the same for all of an issuer.

use std::rc::Rc;

use md5::{Digest, Md5};
use tollgate_model::{Application, Tier};

use crate::stages::Subscribed;

/// That of the key manager of this name, with the attributes that the original gives it.
pub(crate) fn application_of(key_manager: &str) -> Subscribed {
    let name = format!("anon:{key_manager}");
    let unlimited = Rc::new(Tier::unlimited());
    let application = Application {
        uuid: name_uuid(&name),
        id: -1,
        name,
        subscriber: "unknown".to_owned(),
        tier: Tier::UNLIMITED.to_owned(),
        ..Application::default()
    };
    Subscribed {
        application: Rc::new(application),
        application_tier: Rc::clone(&unlimited),
        tier: unlimited,
        side: None,
    }
}

/// UUID of version 3 (RFC 4122 §4.3) without a namespace, as Java's `nameUUIDFromBytes` makes them.
fn name_uuid(name: &str) -> String {
    let mut bytes: [u8; 16] = Md5::digest(name).into();
    let [.., version, _, variant, _, _, _, _, _, _, _] = &mut bytes;
    *version = (*version & 0x0f) | 0x30;
    *variant = (*variant & 0x3f) | 0x80;
    let mut text = String::with_capacity(36);
    for (position, byte) in bytes.iter().enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    /// `UUID.nameUUIDFromBytes("anon:Resident Key Manager".getBytes())` and a well-known one.
    #[test]
    fn ids_are_those_of_java() {
        assert_eq!(super::name_uuid(""), "d41d8cd9-8f00-3204-a980-0998ecf8427e");
        assert_eq!(super::name_uuid("hello"), "5d41402a-bc4b-3a76-b971-9d911017c592");
    }
}
