//! Network settings for registries and AWS.

use std::fmt;

use image_copy::oci::Registry;
use image_copy_aws::{EndpointOptions, invalid_setting};

/// Network settings for registries and AWS.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct NetworkSettings {
    /// `AWS_USE_FIPS_ENDPOINT` and `AWS_USE_DUALSTACK_ENDPOINT`, as the AWS SDKs read them.
    pub(crate) endpoints: EndpointOptions,
    /// `PLAIN_HTTP_HOSTS`: registries that are called without TLS.
    pub(crate) plain_http: Vec<String>,
    /// `CA_BUNDLE`: PEM of CA certificates that are trusted besides the system's.
    pub(crate) certificates: Vec<u8>,
}

impl NetworkSettings {
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let parse_bool = |name, parameter| parse_bool(parameter, variable(name).as_deref());
        Ok(Self {
            endpoints: EndpointOptions {
                fips: parse_bool("AWS_USE_FIPS_ENDPOINT", "UseFipsEndpoints")?,
                dual_stack: parse_bool("AWS_USE_DUALSTACK_ENDPOINT", "UseDualStackEndpoints")?,
            },
            plain_http: parse_hosts(variable("PLAIN_HTTP_HOSTS").as_deref())?,
            certificates: variable("CA_BUNDLE").map_or(Ok(Vec::new()), |value| load_certificates(&value))?,
        })
    }
}

/// The certificates are public, but too long to print.
impl fmt::Debug for NetworkSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoints, plain_http, certificates } = self;
        write!(
            f,
            "NetworkSettings({endpoints:?}, {plain_http:?}, {} bytes of certificates)",
            certificates.len()
        )
    }
}

fn parse_bool(parameter: &str, value: Option<&str>) -> Result<bool, String> {
    match value {
        None => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(text) => Err(invalid_setting(parameter, text, "is neither true nor false")),
    }
}

fn parse_hosts(value: Option<&str>) -> Result<Vec<String>, String> {
    let hosts = value.unwrap_or_default().split(',').map(str::trim).filter(|host| !host.is_empty());
    let host = |text: &str| match text.parse::<Registry>() {
        Ok(registry) => Ok(registry.to_string()),
        Err(_) => Err(invalid_setting(
            "PlainHttpHosts",
            text,
            "is not a host with a port, such as registry.local:5000",
        )),
    };
    hosts.map(host).collect()
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";

fn load_certificates(value: &str) -> Result<Vec<u8>, String> {
    let pem = if value.contains(BEGIN) {
        restore_line_breaks(value).into_bytes()
    } else {
        std::fs::read(value)
            .map_err(|error| invalid_setting("CaBundle", value, &format!("cannot be read: {error}")))?
    };
    if pem.is_empty() {
        return Err(invalid_setting("CaBundle", value, "contains no certificate"));
    }
    // The HTTP client validates them, because the SDK panics on invalid PEM.
    let options = image_copy::http::Options { certificates: pem.clone(), ..Default::default() };
    image_copy::http::Client::new(options).map_err(|error| {
        let shown = if value.contains(BEGIN) { BEGIN } else { value };
        invalid_setting("CaBundle", shown, &format!("is not usable: {error}"))
    })?;
    Ok(pem)
}

/// Restores line breaks in PEM, which parameters of templates and consoles often remove.
fn restore_line_breaks(text: &str) -> String {
    let mut lines = String::new();
    for piece in text.replace("\\n", "\n").split("-----") {
        if piece.starts_with("BEGIN ") || piece.starts_with("END ") {
            lines += &format!("-----{piece}-----\n");
        } else {
            piece.split_whitespace().for_each(|line| lines += &format!("{line}\n"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a new self-signed certificate.
    fn pem() -> String {
        rcgen::generate_simple_self_signed(["ca.example".to_owned()]).unwrap().cert.pem().replace('\r', "")
    }

    #[test]
    fn reads_certificates_from_text_and_from_a_file() {
        let pem = pem();
        let path = std::env::temp_dir().join(format!("ca-bundle-{}.pem", std::process::id()));
        std::fs::write(&path, &pem).unwrap();
        for value in [
            pem.clone(),
            pem.replace('\n', "\\n"),
            pem.replace('\n', " "),
            format!("{pem}{pem}"),
            path.to_str().unwrap().to_owned(),
        ] {
            let read = load_certificates(value.trim()).unwrap();
            assert!(String::from_utf8(read).unwrap().starts_with(pem.trim()), "{value}");
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn an_invalid_certificate_is_a_one_line_error() {
        for (value, expected) in [
            ("/nonexistent/ca.pem", "\"/nonexistent/ca.pem\" cannot be read: No such file"),
            ("/dev/null", "\"/dev/null\" contains no certificate"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", " is not usable: "),
            ("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----", " is not usable: "),
            ("-----BEGIN CERTIFICATE-----", " is not usable: "),
        ] {
            let error = load_certificates(value).unwrap_err();
            assert!(error.starts_with("The provider's parameter CaBundle is invalid: "), "{error}");
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn normalizes_hosts_as_in_references() {
        assert_eq!(
            parse_hosts(Some("Registry.local:5000, 10.0.0.7:80")).unwrap(),
            ["registry.local:5000", "10.0.0.7:80"]
        );
        let error = parse_hosts(Some("http://registry.local")).unwrap_err();
        assert!(error.contains("\"http://registry.local\" is not a host"), "{error}");
    }
}
