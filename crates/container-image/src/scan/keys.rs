//! Names of keys and options that take an image. Structures and plain text share this table.

/// Endings of names whose value is an image, in lower case without separators.
const ENDINGS: [&str; 7] =
    ["image", "imageidentifier", "imagename", "imageref", "imagereference", "imageuri", "imageurl"];

/// Names that have such an ending, and whose value is not an image of a container.
const OTHERS: [&str; 3] = ["amiimage", "machineimage", "vmimage"];

/// Returns true for names such as `image`, `BASE_IMAGE`, `baseImage`, `image-uri` and `container`. Of a path
/// such as `spring.image.name`, only the last part counts.
pub(super) fn is_image_key(name: &str) -> bool {
    // The longest names are those of environment variables.
    if name.len() > 128 {
        return false;
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    let letters = last.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase());
    let letters: Vec<u8> = letters.collect();
    let ends_with = |ending: &&str| letters.ends_with(ending.as_bytes());
    letters == b"container" || (ENDINGS.iter().any(ends_with) && !OTHERS.iter().any(ends_with))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognizes_keys_of_images() {
        for name in [
            "image",
            "Image",
            "IMAGE",
            "BASE_IMAGE",
            "baseImage",
            "base-image",
            "imageName",
            "image_uri",
            "ImageUri",
            "--image",
            "container",
            "runnerImage",
            "app.image",
            "imageURL",
            "image-ref",
        ] {
            assert!(is_image_key(name), "{name}");
        }
        for name in [
            "images",
            "imagePullPolicy",
            "imagePullSecrets",
            "imageID",
            "image_version",
            "image.repository",
            "imageTag",
            "containers",
            "vmImage",
            "containerName",
            "",
            "name",
        ] {
            assert!(!is_image_key(name), "{name}");
        }
    }
}
