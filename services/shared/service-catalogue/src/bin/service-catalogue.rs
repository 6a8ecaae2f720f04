//! Prints the catalogue as tab-separated text for scripts; the columns are in the crate's README.

use std::io::{self, Write as _};

use service_catalogue::Service;

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for service in Service::ALL {
        let openapi = if service.has_api() {
            format!("services/{service}/openapi.json")
        } else {
            "-".to_owned()
        };
        let schema = service.schema().unwrap_or("-");
        writeln!(out, "{service}\t{schema}\t{openapi}")?;
    }
    Ok(())
}
