//! Applies lines to the config of one image.

use super::arguments::{check_signal, owner_of_user, parse_ports};
use super::command::Command;
use super::config::{ImageConfig, present};
use super::error::{CustomizationError, quoted};
use super::expansion::{expand, expand_heredoc};
use super::files::Files;
use super::instruction::{CommandLine, CopiedFile, HealthCheck, Instruction, Line};
use super::layer::{self, Layer};
use super::object::Object;
use super::path::clean;
use super::shell::ShellWord;

/// Maximum size of all values that the lines set in bytes. A config has at most 4 MiB, and a few lines with variables
/// and ranges of ports can expand to much more.
const MAX_VALUES_BYTES: usize = 4 << 20;

/// Bytes that are counted for each value in addition to its text, so that the number of values is bounded too.
const VALUE_BYTES: usize = 256;

/// The result for one image.
pub(super) struct Evaluated {
    pub(super) config: Vec<u8>,
    pub(super) layer: Option<Layer>,
}

/// Applies the lines. `time` is the time of new files in seconds since 1970, `labels` are added at the end.
///
/// # Errors
/// If a line cannot be applied to this image.
pub(super) fn evaluate(
    lines: &[Line],
    base: &[u8],
    time: u64,
    labels: &[(String, String)],
) -> Result<Evaluated, CustomizationError> {
    let invalid =
        |problem: String| CustomizationError::new(None, format!("its config is not supported: {problem}"));
    let config = ImageConfig::parse(base).map_err(invalid)?;
    let mut evaluation = Evaluation { config, files: Files::default(), has_cmd: false, value_bytes: 0 };
    for line in lines {
        let failed = |problem| CustomizationError::new(Some(line.number), problem);
        evaluation.apply(&line.instruction).map_err(failed)?;
    }
    let Evaluation { mut config, files, .. } = evaluation;
    config.set_keys("Labels", labels).map_err(invalid)?;
    let layer = layer::create(&files, time).map_err(invalid)?;
    // All files are in one layer, which belongs to the last line with files. Other lines have none.
    let last = lines.iter().rposition(|line| line.instruction.has_files()).filter(|_| layer.is_some());
    for (position, line) in lines.iter().enumerate() {
        config.add_history(&line.text, Some(position) != last).map_err(invalid)?;
    }
    if let Some(layer) = &layer {
        config.add_layer(layer.diff_id.as_str());
    }
    Ok(Evaluated { config: config.into_bytes(), layer })
}

struct Evaluation {
    config: ImageConfig,
    files: Files,
    /// True if a line has set `CMD`. A later `ENTRYPOINT` then keeps it.
    has_cmd: bool,
    /// Size of all values so far.
    value_bytes: usize,
}

impl Evaluation {
    fn apply(&mut self, instruction: &Instruction) -> Result<(), String> {
        match instruction {
            Instruction::Env(pairs) => {
                // All values see the variables before the line.
                let variables = self.expand_pairs(pairs)?;
                self.config.set_variables(&variables);
            }
            Instruction::Label(pairs) => {
                let labels = self.expand_pairs(pairs)?;
                self.config.set_keys("Labels", &labels)?;
            }
            Instruction::Volume(words) => {
                let mut volumes = Vec::new();
                for word in words {
                    let path = self.expand(word)?;
                    if path.trim().is_empty() {
                        return Err(format!("the volume {} is empty", quoted(word)));
                    }
                    volumes.push((path.trim().to_owned(), present()));
                }
                self.config.set_keys("Volumes", &volumes)?;
            }
            Instruction::Expose(words) => {
                let mut exposed = Vec::new();
                for word in words {
                    let ports = self.expand(word)?;
                    if ports.trim().is_empty() {
                        return Err(format!("the port {} is empty", quoted(word)));
                    }
                    for range in ports.split_whitespace() {
                        for port in parse_ports(range)? {
                            self.count(&port)?;
                            exposed.push((port, present()));
                        }
                    }
                }
                self.config.set_keys("ExposedPorts", &exposed)?;
            }
            Instruction::User(word) => {
                let user = self.expand(word)?;
                self.config.runtime.set("User", &user);
            }
            Instruction::WorkDir(word) => self.set_directory(word)?,
            Instruction::StopSignal(word) => {
                let signal = self.expand(word)?;
                check_signal(&signal)?;
                self.config.runtime.set("StopSignal", &signal);
            }
            Instruction::Cmd(command) => {
                let words = self.words(command)?;
                self.config.runtime.set("Cmd", &words);
                self.has_cmd = true;
            }
            Instruction::Entrypoint(command) => {
                let words = self.words(command)?;
                self.config.runtime.set("Entrypoint", &words);
                // An inherited CMD has the arguments of the inherited ENTRYPOINT
                // (https://docs.docker.com/reference/dockerfile/#understand-how-cmd-and-entrypoint-interact).
                if !self.has_cmd {
                    self.config.runtime.remove("Cmd");
                }
            }
            Instruction::HealthCheck(check) => self.set_health_check(check),
            Instruction::Run(commands) => self.run(commands)?,
            Instruction::Copy(copy) => self.copy(copy)?,
        }
        Ok(())
    }

    fn expand(&mut self, word: &str) -> Result<String, String> {
        let value = expand(word, &self.config.variables)?;
        self.count(&value)?;
        Ok(value)
    }

    /// Counts a value. Fails if all values are too large.
    fn count(&mut self, value: &str) -> Result<(), String> {
        self.value_bytes += VALUE_BYTES + value.len();
        match self.value_bytes > MAX_VALUES_BYTES {
            true => Err(format!("the lines set values of more than {} MiB", MAX_VALUES_BYTES >> 20)),
            false => Ok(()),
        }
    }

    fn expand_pairs(&mut self, pairs: &[(String, String)]) -> Result<Vec<(String, String)>, String> {
        let pair = |(name, value): &(String, String)| {
            let (expanded, value) = (self.expand(name)?, self.expand(value)?);
            match expanded.is_empty() || value.contains('\0') {
                true => Err(format!("{} is not a valid name and value", quoted(name))),
                false => Ok((expanded, value)),
            }
        };
        pairs.iter().map(pair).collect()
    }

    fn words(&self, command: &CommandLine) -> Result<Vec<String>, String> {
        match command {
            CommandLine::Exec(words) => Ok(words.clone()),
            CommandLine::Shell(text) => self.config.shell_form(text),
        }
    }

    fn set_directory(&mut self, word: &str) -> Result<(), String> {
        let inherited = self.config.directory()?;
        let directory = clean(&inherited, &self.expand(word)?)?;
        self.config.runtime.set("WorkingDir", &directory);
        // The directory of the base exists.
        if directory != inherited {
            self.files.make_directory(&directory, None, Default::default())?;
        }
        Ok(())
    }

    fn set_health_check(&mut self, check: &HealthCheck) {
        let test = match &check.command {
            None => vec!["NONE".to_owned()],
            Some(CommandLine::Shell(text)) => vec!["CMD-SHELL".into(), text.clone()],
            Some(CommandLine::Exec(words)) => {
                std::iter::once("CMD".into()).chain(words.iter().cloned()).collect()
            }
        };
        let mut fields = Object::default();
        fields.set("Test", &test);
        for (name, nanoseconds) in check.durations.iter().filter(|(_, nanoseconds)| *nanoseconds > 0) {
            fields.set(name, nanoseconds);
        }
        if check.retries > 0 {
            fields.set("Retries", &check.retries);
        }
        self.config.runtime.set("Healthcheck", &fields);
    }

    fn run(&mut self, commands: &[Vec<ShellWord>]) -> Result<(), String> {
        let (directory, user) = (self.config.directory()?, owner_of_user(&self.config.user()?));
        for command in commands {
            let mut words = Vec::new();
            for word in command {
                let word = word.expand(&self.config.variables)?;
                self.count(&word)?;
                words.push(word);
            }
            let command = Command::parse(&words)?;
            command.apply(&mut self.files, &directory, user)?;
        }
        Ok(())
    }

    fn copy(&mut self, copy: &CopiedFile) -> Result<(), String> {
        let destination = self.expand(&copy.destination)?;
        if destination.is_empty() || destination.ends_with('/') || destination.ends_with("/.") {
            return Err(format!("{} is a directory. Add the name of the file", quoted(&destination)));
        }
        let content = match copy.is_expanded {
            true => expand_heredoc(&copy.content, &self.config.variables)?,
            false => copy.content.clone(),
        };
        self.count(&content)?;
        let path = clean(&self.config.directory()?, &destination)?;
        self.files.write(&path, content, copy.mode, copy.owner)
    }
}
