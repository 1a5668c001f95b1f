//! Random lines: nothing panics, and no path leaves the image.

use super::*;

/// Pieces of lines that are valid, invalid, or dangerous.
const PIECES: [&str; 64] = [
    "ENV ",
    "LABEL ",
    "VOLUME ",
    "EXPOSE ",
    "USER ",
    "WORKDIR ",
    "CMD ",
    "ENTRYPOINT ",
    "STOPSIGNAL ",
    "HEALTHCHECK ",
    "RUN ",
    "COPY ",
    "ADD ",
    "FROM ",
    "ARG ",
    "SHELL ",
    "ONBUILD ",
    "\n",
    "\n",
    "\n",
    " ",
    " ",
    "\\\n",
    "\\",
    "\"",
    "'",
    "$",
    "${",
    "}",
    "$A",
    "${A:-",
    "=",
    "A=",
    "[\"",
    "\", \"",
    "\"]",
    "<<EOF ",
    "\nEOF\n",
    "<<-'X' ",
    "\nX\n",
    "mkdir -p ",
    "mkdir ",
    "touch ",
    "chmod 777 ",
    "chown 1:2 ",
    "ln -s ",
    " && ",
    "/a",
    "/a/b",
    "..",
    "../",
    "/../",
    "/",
    ".",
    "/bin/",
    ".wh.",
    "x",
    "é",
    "\t",
    "#",
    "\r\n",
    "80/tcp",
    "--chmod=755 ",
    "-R ",
];

#[test]
fn random_lines_never_panic_and_never_escape() {
    let mut random = fastrand::Rng::with_seed(17);
    let mut accepted = 0;
    for _ in 0..10_000 {
        let length = random.usize(1..24);
        let lines: String = (0..length).map(|_| PIECES[random.usize(..PIECES.len())]).collect();
        let Ok(image) = customize(&lines) else { continue };
        accepted += 1;
        for entry in entries(&image) {
            let path = entry.split(' ').nth(3).unwrap();
            let is_inside = !path.starts_with('/') && path.split('/').all(|name| name != "..");
            assert!(is_inside && !path.contains("//"), "{lines:?}: {entry}");
        }
        assert!(config(&image)["config"].is_object());
    }
    assert!(accepted > 100, "{accepted} of 10000 sequences are valid");
}

#[test]
fn random_bytes_never_panic() {
    let mut random = fastrand::Rng::with_seed(18);
    for _ in 0..4_000 {
        let bytes: Vec<u8> = (0..random.usize(1..40)).map(|_| random.u8(..)).collect();
        let text = String::from_utf8_lossy(&bytes);
        for prefix in ["", "ENV ", "RUN ", "COPY <<E /x\n", "CMD [\"", "HEALTHCHECK --"] {
            let _ = customize(&format!("{prefix}{text}"));
        }
    }
}

/// Random changes of a valid config and manifest: an error or a valid result, and no panic.
#[test]
fn random_configs_never_panic() {
    let mut random = fastrand::Rng::with_seed(19);
    let original = base_config();
    for _ in 0..2_000 {
        let mut bytes = original.clone().into_bytes();
        for _ in 0..random.usize(1..4) {
            let position = random.usize(..bytes.len());
            match random.u8(..3) {
                0 => bytes[position] = random.u8(..),
                1 => drop(bytes.drain(position..bytes.len().min(position + 8))),
                _ => bytes.insert(position, b"{}[]\",:0"[random.usize(..8)]),
            }
        }
        let lines = Customization::parse("ENV B=$A\nRUN mkdir -p x\nLABEL c=1\nENTRYPOINT y").unwrap();
        let manifest = base_manifest(&original, media_type::OCI_MANIFEST);
        if let Ok(image) = customize_image(&lines, &manifest, &bytes, TIME, &base()) {
            assert!(config(&image)["rootfs"]["diff_ids"].is_array());
        }
    }
}
