//! Why a connection could not be secured, or did not stay so.

use std::fmt;

use rustls::{CertificateError, Error, PeerIncompatible};

/// What was wrong with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsFailure {
    /// Something else than TLS came.
    NotTls,
    /// The peer speaks an older TLS alone.
    Version,
    /// The two have no algorithms in common.
    Incompatible,
    /// The peer has no certificate, and one is wanted.
    NoCertificate,
    /// Somebody else has signed the certificate.
    UnknownIssuer,
    /// The certificate was good once.
    Expired,
    /// The certificate will be good.
    NotYetValid,
    /// The certificate is another system's.
    OtherName,
    /// The certificate may not be used for this side of a connection.
    Purpose,
    /// The certificate is bad in another way.
    Certificate,
    /// The peer has ended it with this alert (RFC 8446, section 6).
    RefusedByPeer {
        /// Its number.
        alert: u8,
    },
    /// The peer has not finished its handshake in time.
    Late,
    /// The peer left in the handshake.
    Left,
    /// As many connections are in their handshake as may be.
    TooMany,
    /// Bytes came that the peer has not written so.
    Damaged,
    /// The stream ended, and the peer has not said so.
    CutOff,
    /// The peer does what TLS forbids.
    Broken,
    /// This side cannot go on: no random bytes, no time, or its keys are used up.
    Own,
}

impl TlsFailure {
    /// In words.
    pub(crate) fn what(self) -> &'static str {
        match self {
            TlsFailure::NotTls => "the peer does not speak TLS",
            TlsFailure::Version => "the peer does not speak TLS 1.3",
            TlsFailure::Incompatible => "the peer has no algorithm in common with this side",
            TlsFailure::NoCertificate => "the peer has shown no certificate",
            TlsFailure::UnknownIssuer => {
                "the certificate is not from an authority that is trusted here"
            }
            TlsFailure::Expired => "the certificate has expired",
            TlsFailure::NotYetValid => "the certificate is not valid yet",
            TlsFailure::OtherName => {
                "the certificate is for another name than the one that is wanted"
            }
            TlsFailure::Purpose => "the certificate is for another purpose (extended key usage)",
            TlsFailure::Certificate => "the certificate is not valid",
            TlsFailure::RefusedByPeer { .. } => "the peer refuses this side",
            TlsFailure::Late => "the handshake took too long",
            TlsFailure::Left => "the peer closed the connection before it was secured",
            TlsFailure::TooMany => "too many connections are in their handshake",
            TlsFailure::Damaged => "bytes that came are not as the peer wrote them",
            TlsFailure::CutOff => "the stream was cut off: the peer has not said that it ends here",
            TlsFailure::Broken => "the peer broke the protocol",
            TlsFailure::Own => {
                "the system gives no time or no random bytes, or the keys are used up"
            }
        }
    }

    /// What an error means on a connection that is secured, or is not yet.
    pub(super) fn of(error: &Error, is_secured: bool) -> TlsFailure {
        match error {
            Error::InvalidMessage(_) if !is_secured => TlsFailure::NotTls,
            Error::InvalidMessage(_) | Error::DecryptError | Error::PeerSentOversizedRecord => {
                TlsFailure::Damaged
            }
            Error::PeerIncompatible(
                PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled,
            ) => TlsFailure::Version,
            Error::PeerIncompatible(_) => TlsFailure::Incompatible,
            Error::NoCertificatesPresented => TlsFailure::NoCertificate,
            Error::InvalidCertificate(error) => TlsFailure::of_certificate(error),
            Error::AlertReceived(alert) => TlsFailure::RefusedByPeer { alert: u8::from(*alert) },
            Error::FailedToGetCurrentTime
            | Error::FailedToGetRandomBytes
            | Error::EncryptError
            | Error::General(_)
            | Error::Other(_) => TlsFailure::Own,
            _ => TlsFailure::Broken,
        }
    }

    /// What is wrong with a certificate.
    pub(super) fn of_certificate(error: &CertificateError) -> TlsFailure {
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                TlsFailure::Expired
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                TlsFailure::NotYetValid
            }
            // A signature by a key that is not the authority's of that name: an authority that was made anew.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                TlsFailure::UnknownIssuer
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsFailure::OtherName
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                TlsFailure::Purpose
            }
            _ => TlsFailure::Certificate,
        }
    }
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.what())?;
        match self {
            TlsFailure::RefusedByPeer { alert } => {
                write!(formatter, ", with alert {alert} ({})", alert_text(*alert))
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for TlsFailure {}

/// The usual alerts in words.
fn alert_text(alert: u8) -> &'static str {
    match alert {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        22 => "record_overflow",
        40 => "handshake_failure",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        112 => "unrecognized_name",
        116 => "certificate_required",
        _ => "see RFC 8446, section 6",
    }
}
