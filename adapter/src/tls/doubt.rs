//! What to do about a server whose certificate is not believed.

use std::error::Error;
use std::io;

const ADVICE: &str = " (fix: put the certificate of the authority that issued it into adapter.truststore.location; its names must contain the host)";

/// What an error is to be followed by: advice when a certificate is the cause, and nothing otherwise.
#[must_use]
pub fn advice(error: &(dyn Error + 'static)) -> &'static str {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))) {
            return ADVICE;
        }
        // An error of the system does not name the one in it as its source.
        let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = within.map(|error| error as &(dyn Error + 'static)).or_else(|| error.source());
    }
    ""
}

#[cfg(test)]
mod tests {
    use rustls::CertificateError;

    use super::*;

    #[test]
    fn only_a_certificate_is_a_reason_for_advice() {
        let unknown = || rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        assert_eq!(advice(&unknown()), ADVICE);
        assert_eq!(advice(&io::Error::other(unknown())), ADVICE);
        assert_eq!(advice(&io::Error::other(io::Error::new(io::ErrorKind::InvalidData, unknown()))), ADVICE);
        for other in [
            io::Error::other(rustls::Error::DecryptError),
            io::Error::other("certificate"),
            io::ErrorKind::NotFound.into(),
        ] {
            assert_eq!(advice(&other), "", "{other}");
        }
    }
}
