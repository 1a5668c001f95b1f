//! Converts byte offsets to lines and columns.

/// Returns line and column of each offset, both counted from 1, columns in characters. Sorted offsets are
/// fastest.
pub(crate) fn positions(bytes: &[u8], offsets: impl Iterator<Item = usize>) -> Vec<(usize, usize)> {
    let (mut line, mut column, mut counted) = (1, 1, 0);
    let position = |at: usize| {
        let at = at.min(bytes.len());
        if at < counted {
            (line, column, counted) = (1, 1, 0);
        }
        let passed = &bytes[counted..at];
        counted = at;
        let ends = memchr::memchr_iter(b'\n', passed);
        let mut last_end = None;
        line += ends.inspect(|end| last_end = Some(*end)).count();
        column = match last_end {
            Some(end) => 1 + count_characters(&passed[end + 1..]),
            None => column + count_characters(passed),
        };
        (line, column)
    };
    offsets.map(position).collect()
}

/// Counts invalid UTF-8 as the replacement characters that an editor shows.
fn count_characters(bytes: &[u8]) -> usize {
    bytes
        .utf8_chunks()
        .map(|chunk| chunk.valid().chars().count() + usize::from(!chunk.invalid().is_empty()))
        .sum()
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
        let invalid = b"\xff\xe2\x82a\xc3\xa9b";
        assert_eq!(positions(invalid, [3, 4, 6].into_iter()), [(1, 3), (1, 4), (1, 5)]);
    }
}
