//! (j) A shop answers over HTTPS with a certificate of its own making, then with that of a Secret, and a
//! renewed one is served without a restart.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::{Kubectl, eventually};

use crate::support::ShopNamespace;

const HOST: &str = "https.localhost";

#[test]
fn a_shop_answers_over_https_and_follows_its_certificate() -> anyhow::Result<()> {
    let place = ShopNamespace::new("https")?;
    ensure!(place.hostname() == HOST);
    let (kubectl, name) = (&place.kubectl, place.name());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder)?;
    let with = |tls| place.apply("Delete", &format!("  gateway: {{ tls: {{ {tls} }} }}\n"));
    with("selfSigned: {}")?;
    place.wait_until_ready()?;

    let shop = kubectl.get(name, "storefront/shop")?;
    ensure!(
        shop["status"]["url"] == format!("https://{HOST}"),
        "{}",
        shop["status"]["url"]
    );
    let gateway = kubectl.get(name, "gateway/shop")?;
    let address = gateway["status"]["addresses"][0]["value"]
        .as_str()
        .context("the Gateway has no address")?;
    let own = folder.join("own").display().to_string();
    std::fs::write(
        format!("{own}.crt"),
        kubectl.secret(name, "shop-tls", "ca.crt")?,
    )?;
    eventually("the shop answers", Duration::from_secs(15), || {
        ask(address, &own)
    })?;

    let first = certificate(&folder, "first")?;
    kubectl.apply(name, &secret(kubectl, &first)?)?;
    with("secretRef: { name: given-tls }")?;
    eventually("the given certificate", Duration::from_secs(30), || {
        ask(address, &first)
    })?;

    let second = certificate(&folder, "second")?;
    ensure!(
        ask(address, &second).is_err(),
        "a certificate that is not served was trusted"
    );
    kubectl.apply(name, &secret(kubectl, &second)?)?;
    eventually("the renewed certificate", Duration::from_secs(30), || {
        ask(address, &second)
    })?;
    spoil_and_restart(&place, address, &second)?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// A Secret with rubbish is said, and changes nothing for clients, not even when the gateway's pod starts anew;
/// HTTP is redirected all the while.
fn spoil_and_restart(place: &ShopNamespace, address: &str, served: &str) -> anyhow::Result<()> {
    let (kubectl, name) = (&place.kubectl, place.name());
    let redirected = || {
        let url = format!("http://{HOST}/v1/products?limit=1");
        let output = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--max-time",
                "10",
                "--noproxy",
                "*",
            ])
            .args(["--resolve", &format!("{HOST}:80:{address}")])
            .args([
                "--output",
                "/dev/null",
                "--write-out",
                "%{http_code} %{redirect_url}",
            ])
            .arg(url)
            .output()
            .context("start curl")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            said == format!("308 https://{HOST}/v1/products?limit=1"),
            "{said}"
        );
        Ok(())
    };
    redirected()?;
    let rubbish = r#"{"data":{"tls.key":"cnViYmlzaA=="}}"#;
    kubectl.run(&["-n", name, "patch", "secret", "given-tls", "-p", rubbish])?;
    eventually("the shop says so", Duration::from_secs(30), || {
        let shop = kubectl.get(name, "storefront/shop")?;
        let said = shop["status"]["conditions"].to_string();
        ensure!(said.contains("CertificateNotUsable"), "{said}");
        Ok(())
    })?;
    ask(address, served)?;
    let label = "gateway.networking.k8s.io/gateway-name=shop";
    kubectl.run(&["-n", name, "delete", "pod", "-l", label])?;
    eventually("the new pod serves it", Duration::from_secs(30), || {
        ask(address, served)
    })?;
    redirected()
}

/// A self-signed certificate with its key, as paths without their endings.
fn certificate(folder: &Path, name: &str) -> anyhow::Result<String> {
    let base = folder.join(name).display().to_string();
    let (key, cert) = (format!("{base}.key"), format!("{base}.crt"));
    let (subject, names) = (format!("/CN={HOST}"), format!("subjectAltName=DNS:{HOST}"));
    let args = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        &subject,
        "-addext",
        &names,
        "-keyout",
        &key,
        "-out",
        &cert,
    ];
    let output = Command::new("openssl").args(args).output()?;
    ensure!(
        output.status.success(),
        "openssl: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(base)
}

fn secret(kubectl: &Kubectl, base: &str) -> anyhow::Result<String> {
    kubectl.run(&[
        "create",
        "secret",
        "tls",
        "given-tls",
        &format!("--cert={base}.crt"),
        &format!("--key={base}.key"),
        "--dry-run=client",
        "-o",
        "yaml",
    ])
}

/// One request that trusts nothing but the given certificate.
fn ask(address: &str, base: &str) -> anyhow::Result<()> {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--fail", "--max-time", "10"])
        .args(["--noproxy", "*", "--cacert", &format!("{base}.crt")])
        .args(["--resolve", &format!("{HOST}:443:{address}")])
        .arg(format!("https://{HOST}/v1/products?limit=1"))
        .output()
        .context("start curl")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
