use std::sync::Arc;

use courant_webhooks::{Error, Failure, Settings};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::NamedTempFile;
use tokio_rustls::TlsAcceptor;

use crate::receiver::{Answer, Receiver};
use crate::rig::{Rig, endpoint, occupied, settings};

/// A server's certificate for `localhost`, and the file that makes it trusted.
fn certified() -> (TlsAcceptor, NamedTempFile) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let authority = NamedTempFile::new().unwrap();
    std::fs::write(authority.path(), certified.cert.pem()).unwrap();
    let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), authority)
}

#[tokio::test]
async fn webhooks_are_sent_over_tls_to_trusted_receivers_only() {
    let (tls, authority) = certified();
    let receiver = Receiver::start_on("127.0.0.1:0".parse().unwrap(), Answer::Status(200), Some(tls)).await;
    let port = receiver.address.port();
    let by_name = endpoint(&format!("https://localhost:{port}/"));

    let rig = Rig::new(vec![by_name.clone()], settings()).await;
    rig.notify(occupied("a")).await;
    rig.until("refused", |stats| stats.endpoints[0].failed > 0).await;
    let failure = rig.webhooks.stats().endpoints[0].last_failure.clone().unwrap();
    assert!(matches!(&failure, Failure::Connect(what) if what.contains("certificate")), "{failure}");
    assert!(receiver.received().is_empty());

    let trusting = Settings { extra_ca_file: Some(authority.path().to_owned()), ..settings() };
    let by_address = endpoint(&format!("https://127.0.0.1:{port}/"));
    let rig = Rig::new(vec![by_name, by_address], trusting).await;
    rig.notify(occupied("a")).await;
    receiver.wait_for(1).await;
    // The certificate is for the name, not for the address.
    rig.until("refused", |stats| stats.endpoints.iter().any(|endpoint| endpoint.failed > 0)).await;
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn a_file_without_authorities_is_an_error_that_names_it() {
    let empty = NamedTempFile::new().unwrap();
    let apps = Arc::new(courant_auth::Apps::default());
    let dir = tempfile::TempDir::new().unwrap();
    let log = Arc::new(crate::log::TestLog::open(&dir).await);
    let settings = Settings { extra_ca_file: Some(empty.path().to_owned()), ..settings() };
    let opened =
        courant_webhooks::Webhooks::open(settings, apps, log, courant_telemetry::Metrics::new()).await;
    let Err(error @ Error::Authorities { .. }) = opened else { panic!("it was opened") };
    assert!(error.to_string().contains(empty.path().to_str().unwrap()), "{error}");
}
