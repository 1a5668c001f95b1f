//! Converts byte offsets to lines and columns.

/// Returns line and column of each offset, both counted from 1, columns in characters. Sorted offsets are
/// fastest.
pub(crate) fn positions(bytes: &[u8], offsets: impl Iterator<Item = usize>) -> Vec<(usize, usize)> {
    let (mut line, mut counted, mut start) = (1, 0, 0);
    let position = |at: usize| {
        let at = at.min(bytes.len());
        if at < counted {
            (line, counted, start) = (1, 0, 0);
        }
        for offset in memchr::memchr_iter(b'\n', &bytes[counted..at]) {
            line += 1;
            start = counted + offset + 1;
        }
        counted = at;
        (line, String::from_utf8_lossy(&bytes[start..at]).chars().count() + 1)
    };
    offsets.map(position).collect()
}

#[cfg(test)]
mod tests {
    use super::positions;

    #[test]
    fn counts_from_one_and_in_characters() {
        let text = "é: 1\nab: x\n".as_bytes();
        let found = positions(text, [0, 4, 6, 8, 12, 99, 4].into_iter());
        assert_eq!(found, [(1, 1), (1, 4), (2, 1), (2, 3), (3, 1), (3, 1), (1, 4)]);
        assert_eq!(positions(b"", [5].into_iter()), [(1, 1)]);
    }
}
