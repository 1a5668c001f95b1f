//! Headings of options in the help.

/// Files and references that a command reads.
pub(super) const IMAGES: &str = "Which images";
/// New references of the selected images.
pub(super) const VERSIONS: &str = "New versions";
/// Dry runs, and formats of the result.
pub(super) const OUTPUT: &str = "Output";
/// A repository in place of a folder.
pub(super) const GIT: &str = "Git repository";
/// Changes to a copied image.
pub(super) const CUSTOMIZATION: &str = "Customization";
/// Settings of created repositories.
pub(super) const CREATION: &str = "Repository creation";
/// Rules that select tags.
pub(super) const RULES: &str = "Rules";
/// Connections and credentials.
pub(super) const REGISTRIES: &str = "Registries";
/// Options of all commands.
pub(super) const GLOBAL: &str = "Global options";
