//! `REGISTRY_CREDENTIALS`: secrets for registries, used by resources without `CredentialArn`.

use image_copy::oci::Registry;

use super::invalid_setting;
use crate::credential_arn::CredentialArn;

const PARAMETER_NAME: &str = "RegistryCredentials";

/// A registry with the ARN of its credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryCredential {
    /// The registry.
    pub registry: Registry,
    /// Secret or parameter with its credentials.
    pub arn: CredentialArn,
}

/// Parses pairs `host=arn`, separated by commas or line breaks.
pub(super) fn parse(text: Option<&str>) -> Result<Vec<RegistryCredential>, String> {
    let mut listed: Vec<RegistryCredential> = Vec::new();
    let entries = text.unwrap_or_default().split([',', '\n']).map(str::trim);
    for entry in entries.filter(|entry| !entry.is_empty()) {
        let Some((host, arn)) = entry.split_once('=') else {
            return Err(invalid_setting(
                PARAMETER_NAME,
                entry,
                "is not host=arn, such as quay.io=arn:aws:secretsmanager:…",
            ));
        };
        let registry: Registry = host
            .trim()
            .parse()
            .map_err(|_| invalid_setting(PARAMETER_NAME, host.trim(), "is not the host of a registry"))?;
        let arn: CredentialArn = arn.trim().parse().map_err(|_| {
            invalid_setting(
                PARAMETER_NAME,
                arn.trim(),
                "is not the ARN of a Secrets Manager secret or an SSM parameter",
            )
        })?;
        if listed.iter().any(|other| other.registry == registry) {
            return Err(invalid_setting(PARAMETER_NAME, host.trim(), "is listed twice"));
        }
        listed.push(RegistryCredential { registry, arn });
    }
    Ok(listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a=b-AbCdEf:key::";
    const PARAMETER: &str = "arn:aws:ssm:eu-west-1:123456789012:parameter/quay";

    #[test]
    fn parses_pairs_separated_by_commas_or_line_breaks() {
        let parsed = parse(Some(&format!("index.docker.io={SECRET},\n quay.io = {PARAMETER}\n,"))).unwrap();
        let hosts: Vec<&str> = parsed.iter().map(|listed| listed.registry.as_str()).collect();
        assert_eq!(hosts, ["docker.io", "quay.io"]);
        assert_eq!(parsed[0].arn, SECRET.parse().unwrap());
        assert_eq!(parse(None), Ok(Vec::new()));
    }

    #[test]
    fn errors_contain_the_invalid_part() {
        for (text, expected) in [
            ("quay.io".to_owned(), "\"quay.io\" is not host=arn"),
            ("quay.io=secret".into(), "\"secret\" is not the ARN"),
            (format!("https://quay.io={SECRET}"), "\"https://quay.io\" is not the host"),
            (
                format!("docker.io={SECRET},registry-1.docker.io={PARAMETER}"),
                "\"registry-1.docker.io\" is listed twice",
            ),
        ] {
            let error = parse(Some(&text)).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
