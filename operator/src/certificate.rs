//! Self-signed certificates: issued by an authority whose key exists only during the call, and parsed
//! again to decide about renewal, which the plan does.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use operator_plan::storefront::certificate::{AUTHORITY, LIFE};
use operator_plan::storefront::{Certificate, Minted};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, date_time_ymd,
};
use x509_parser::extensions::GeneralName;

use crate::error::Error;
use crate::secrets::Data;

/// A certificate for these hosts, good from the day before `now` on: clocks differ.
///
/// ## Why the authority's key is thrown away
/// Who trusts the authority trusts whatever its key signs. Nobody has it, so that is this certificate
/// and nothing else. The price is another `ca.crt` at each renewal.
pub fn mint(hostnames: &[String], now: Timestamp) -> Result<Minted, Error> {
    let authority_key = KeyPair::generate().map_err(Error::other)?;
    let mut authority = params(AUTHORITY, now)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let signed = authority.self_signed(&authority_key);
    let signed = signed.map_err(Error::other)?;

    let key = KeyPair::generate().map_err(Error::other)?;
    let mut leaf = params("Storefront self-signed", now)?;
    for name in hostnames {
        let name = Ia5String::try_from(name.as_str()).map_err(Error::other)?;
        leaf.subject_alt_names.push(SanType::DnsName(name));
    }
    leaf.use_authority_key_identifier_extension = true;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let issuer = Issuer::from_params(&authority, &authority_key);
    let certificate = leaf.signed_by(&key, &issuer).map_err(Error::other)?;
    Ok(Minted {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
        authority: signed.pem(),
    })
}

fn params(name: &str, now: Timestamp) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let from = now - SignedDuration::from_hours(24);
    let day = |at: Timestamp| {
        let date = at.to_zoned(TimeZone::UTC).date();
        let part = |value: i8| u8::try_from(value).map_err(Error::other);
        let (month, day) = (part(date.month())?, part(date.day())?);
        Ok::<_, Error>(date_time_ymd(i32::from(date.year()), month, day))
    };
    params.not_before = day(from)?;
    params.not_after = day(from + LIFE)?;
    Ok(params)
}

/// Hosts and validity of the certificate in a Secret; nothing if something is missing, does not parse,
/// or does not belong together.
pub fn read(secret: &Data) -> Option<Certificate> {
    secret.get("ca.crt")?;
    let (_, pem) = x509_parser::pem::parse_x509_pem(secret.get("tls.crt")?).ok()?;
    let certificate = pem.parse_x509().ok()?;
    let key = std::str::from_utf8(secret.get("tls.key")?).ok()?;
    let key = KeyPair::from_pem(key).ok()?;
    if certificate.public_key().raw != key.subject_public_key_info() {
        return None;
    }
    let names = certificate.subject_alternative_name().ok()??;
    let hostnames = names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        });
    let validity = certificate.validity();
    Some(Certificate {
        hostnames: hostnames.collect(),
        not_before: Timestamp::from_second(validity.not_before.timestamp()).ok()?,
        not_after: Timestamp::from_second(validity.not_after.timestamp()).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{Error as TlsError, RootCertStore};

    use super::*;

    fn hosts() -> Vec<String> {
        vec!["shop.example".to_owned(), "www.shop.example".to_owned()]
    }

    fn now() -> Timestamp {
        "2026-02-28T23:59:59Z".parse().unwrap()
    }

    fn secret(minted: &Minted) -> Data {
        let parts = [
            ("tls.crt", &minted.certificate),
            ("tls.key", &minted.key),
            ("ca.crt", &minted.authority),
        ];
        let owned = parts.map(|(key, text)| (key.to_owned(), text.as_bytes().to_vec()));
        owned.into()
    }

    /// What a client says that trusts nothing but the authority.
    fn verify(minted: &Minted, host: &str, at: Timestamp) -> Result<(), TlsError> {
        let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(der(&minted.authority)).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let seconds = u64::try_from(at.as_second()).unwrap();
        let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let host = ServerName::try_from(host).unwrap();
        let leaf = der(&minted.certificate);
        let verifier = verifier.build().unwrap();
        verifier
            .verify_server_cert(&leaf, &[], &host, &[], at)
            .map(drop)
    }

    #[test]
    fn who_trusts_the_authority_trusts_the_certificate_for_its_hosts_and_no_others() {
        let minted = mint(&hosts(), now()).unwrap();
        for host in hosts() {
            verify(&minted, &host, now()).unwrap();
            let before_the_renewal = now() + LIFE / 3 * 2;
            verify(&minted, &host, before_the_renewal).unwrap();
        }
        assert!(verify(&minted, "other.example", now()).is_err());
        assert!(verify(&minted, "shop.example", now() + LIFE).is_err());
        let other = mint(&hosts(), now()).unwrap();
        let mixed = Minted {
            authority: other.authority,
            ..minted
        };
        assert!(verify(&mixed, "shop.example", now()).is_err());
    }

    #[test]
    fn what_was_minted_is_read_back() {
        let minted = mint(&hosts(), now()).unwrap();
        let read = read(&secret(&minted)).unwrap();
        assert_eq!(read.hostnames, hosts().into_iter().collect());
        assert_eq!(read.not_before.to_string(), "2026-02-27T00:00:00Z");
        assert_eq!(read.not_after.to_string(), "2027-02-27T00:00:00Z");
    }

    #[test]
    fn what_is_not_whole_or_not_a_pair_is_not_read() {
        let minted = mint(&hosts(), now()).unwrap();
        for key in ["tls.crt", "tls.key", "ca.crt"] {
            let mut secret = secret(&minted);
            secret.remove(key);
            assert_eq!(read(&secret), None, "without {key}");
        }
        let other = mint(&hosts(), now()).unwrap();
        let mixed = Minted {
            key: other.key,
            ..minted
        };
        assert_eq!(read(&secret(&mixed)), None);
        let nonsense = |key: &str| {
            let mut secret = secret(&mixed);
            secret.insert(key.to_owned(), b"nonsense".to_vec());
            secret
        };
        assert_eq!(read(&nonsense("tls.crt")), None);
        assert_eq!(read(&nonsense("tls.key")), None);
    }
}
