//! Names that AWS generates, and parts of AWS names.

/// Returns a random UUID, version 4.
pub(crate) fn uuid() -> String {
    let random = (fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{random:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Returns random lower-case hexadecimal digits.
pub(crate) fn hex(length: usize) -> String {
    (0..length).map(|_| fastrand::digit(16)).collect()
}

/// Returns random capitals and digits, as in names that CloudFormation generates.
pub(crate) fn capitals(length: usize) -> String {
    (0..length).map(|_| fastrand::digit(36).to_ascii_uppercase()).collect()
}

/// Returns the partition of a Region.
pub(crate) fn partition(region: &str) -> &'static str {
    match region.split('-').next() {
        Some("cn") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// Returns the suffix of AWS host names in a Region.
pub(crate) fn suffix(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

#[cfg(test)]
mod tests {
    use super::uuid;

    #[test]
    fn a_uuid_has_version_and_variant() {
        for _ in 0..100 {
            let uuid = uuid();
            assert_eq!(uuid.len(), 36, "{uuid}");
            assert_eq!(uuid.as_bytes()[14], b'4', "{uuid}");
            assert!(b"89ab".contains(&uuid.as_bytes()[19]), "{uuid}");
        }
    }
}
