//! Tables of `docker images`, `docker ps`, `crictl images` and `kubectl get`.

use std::ops::Range;

/// Columns with an image in the header of a table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table {
    image: Range<usize>,
    tag: Option<Range<usize>>,
    digest: Option<Range<usize>>,
}

impl Table {
    /// Parses a header. Columns are separated by two spaces or more, and named in upper case.
    pub(super) fn of(line: &str) -> Option<Self> {
        let columns = columns(line);
        let is_header = |name: &str| {
            name.chars().all(|c| c.is_ascii_uppercase() || matches!(c, ' ' | '-' | '_' | '(' | ')'))
        };
        if !columns.iter().all(|(name, _)| is_header(name)) {
            return None;
        }
        let find = |wanted: &str| columns.iter().find(|(name, _)| name == wanted).map(|(_, at)| at.clone());
        let image = ["REPOSITORY", "IMAGE", "IMAGES"].iter().find_map(|name| find(name))?;
        Some(Self { image, tag: find("TAG"), digest: find("DIGEST") })
    }

    /// Returns the references of a row. `docker images` writes `<none>` for a missing part.
    pub(super) fn references(&self, row: &str) -> Vec<String> {
        let cell = |columns: &Range<usize>| {
            let text: String = row.chars().skip(columns.start).take(columns.len()).collect();
            text.trim().to_owned()
        };
        let part = |columns: &Option<Range<usize>>, separator: char| {
            let text = columns.as_ref().map(&cell).filter(|text| !text.is_empty() && text != "<none>");
            text.map(|text| format!("{separator}{text}")).unwrap_or_default()
        };
        let (tag, digest) = (part(&self.tag, ':'), part(&self.digest, '@'));
        let has_no_tag = self.tag.is_some() && tag.is_empty() && digest.is_empty();
        let names = cell(&self.image);
        let names = names.split([',', ' ']).filter(|name| !name.is_empty());
        // Without tag and digest, the reference would mean the tag `latest`.
        let complete =
            |name: &str| if has_no_tag { format!("{name}:<none>") } else { format!("{name}{tag}{digest}") };
        names.map(complete).collect()
    }
}

/// Returns the names of columns, each with its range of characters up to the next one.
fn columns(line: &str) -> Vec<(String, Range<usize>)> {
    let mut columns: Vec<(String, Range<usize>)> = Vec::new();
    let mut spaces = 2;
    for (at, c) in line.trim_end().chars().enumerate() {
        if c.is_whitespace() {
            // A tab separates columns, too.
            spaces += if c == '\t' { 2 } else { 1 };
            continue;
        }
        match columns.last_mut().filter(|_| spaces < 2) {
            Some((name, _)) => {
                name.extend(std::iter::repeat_n(' ', spaces));
                name.push(c);
            }
            None => {
                if let Some((_, range)) = columns.last_mut() {
                    range.end = at;
                }
                columns.push((c.into(), at..usize::MAX));
            }
        }
        spaces = 0;
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(table: &str, expected: &[&str]) {
        let (header, rows) = table.split_once('\n').unwrap();
        let table = Table::of(header).unwrap();
        let found: Vec<String> = rows.lines().flat_map(|row| table.references(row)).collect();
        assert_eq!(found, expected, "{header}");
    }

    #[test]
    fn reads_tables() {
        check(
            "REPOSITORY          TAG       IMAGE ID       CREATED        SIZE\n\
             nginx               1.27      3f8a00f137a0   2 weeks ago    192MB\n\
             ghcr.io/acme/app    <none>    4f8a00f137a0   2 weeks ago    192MB\n\
             <none>              <none>    5f8a00f137a0   2 weeks ago    192MB\n",
            &["nginx:1.27", "ghcr.io/acme/app:<none>", "<none>:<none>"],
        );
        check(
            "REPOSITORY   TAG      DIGEST        IMAGE ID\nnginx        <none>   sha256:aa     3f8a\n",
            &["nginx@sha256:aa"],
        );
        check("IMAGE          ID    DISK USAGE\nnginx:1.27     3f8   192MB\n", &["nginx:1.27"]);
        check("IMAGE          TAG   IMAGE ID\nquay.io/a/b    2     3f8\n", &["quay.io/a/b:2"]);
        check(
            "NAME   READY   CONTAINERS   IMAGES             SELECTOR\n\
             web    1/1     web,log      nginx:1,fluent:2   app=web\n",
            &["nginx:1", "fluent:2"],
        );
        check("IMAGES\na:1,b:2\n", &["a:1", "b:2"]);
        for no_table in ["nginx:1", "NAME   READY", "Repository   Tag", "", "IMAGE: nginx"] {
            assert_eq!(Table::of(no_table), None, "{no_table}");
        }
    }
}
