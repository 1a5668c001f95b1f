//! Gzip without compression.
//!
//! Two versions of a compressor can write different bytes for the same content. Stored blocks have only one
//! form, so that the digest never changes.

/// Maximum size of a stored block in bytes (RFC 1951, section 3.2.4).
const BLOCK_BYTES: usize = 65_535;

/// The header of RFC 1952: deflate, no flags, no time, no extra flags, unknown operating system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Returns the content as a gzip file with stored blocks.
pub(super) fn store(content: &[u8]) -> Vec<u8> {
    let mut file = HEADER.to_vec();
    let mut rest = content;
    loop {
        let (block, after) = rest.split_at(rest.len().min(BLOCK_BYTES));
        // `split_at` limits the length to 16 bits.
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        file.push(u8::from(after.is_empty()));
        file.extend_from_slice(&length.to_le_bytes());
        file.extend_from_slice(&(!length).to_le_bytes());
        file.extend_from_slice(block);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    file.extend_from_slice(&crc32(content).to_le_bytes());
    // RFC 1952 defines the size modulo 2^32.
    #[expect(clippy::cast_possible_truncation, reason = "the format keeps the lowest 32 bits")]
    file.extend_from_slice(&(content.len() as u32).to_le_bytes());
    file
}

/// CRC-32 of RFC 1952, section 8.
fn crc32(content: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in content {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn any_decompressor_returns_the_content() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        for length in [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES] {
            let content: Vec<u8> = (0..length).map(|position| (position % 251) as u8).collect();
            let stored = store(&content);
            let mut read = Vec::new();
            flate2::read::GzDecoder::new(&stored[..]).read_to_end(&mut read).unwrap();
            assert!(read == content, "{length} bytes");
        }
    }
}
