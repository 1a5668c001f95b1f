//! Words of a `RUN` command, by the rules of a POSIX shell
//! (<https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html>). Everything that needs a
//! shell is rejected.

use super::error::quoted;
use super::expansion::{MAX_BYTES, Variables, lookup};

/// A word: literal texts and variables.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ShellWord(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Variable { name: String, is_quoted: bool },
}

impl ShellWord {
    /// Creates a word without variables.
    pub(super) fn literal(text: &str) -> Self {
        Self(vec![Part::Literal(text.into())])
    }

    /// Returns the word if it has no variables.
    pub(super) fn as_literal(&self) -> Option<String> {
        let parts = self.0.iter().map(|part| match part {
            Part::Literal(text) => Some(text.as_str()),
            Part::Variable { .. } => None,
        });
        parts.collect()
    }

    /// Expands the variables.
    ///
    /// # Errors
    /// If a variable is not set, because the shell could set it itself. If the value would be split into
    /// several words. If the word is too long.
    pub(super) fn expand(&self, variables: &Variables) -> Result<String, String> {
        let mut word = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(text) => word.push_str(text),
                Part::Variable { name, is_quoted } => {
                    let value = lookup(variables, name);
                    let value = value.ok_or_else(|| format!("the variable {name} is not set by ENV"))?;
                    let is_split = |c: char| c.is_whitespace() || "*?[".contains(c);
                    if !is_quoted && (value.is_empty() || value.contains(is_split)) {
                        return Err(format!("the value of {name} is not one word. Write \"${name}\""));
                    }
                    word.push_str(value);
                }
            }
            if word.len() > MAX_BYTES {
                return Err(format!("a word is longer than {MAX_BYTES} bytes"));
            }
        }
        Ok(word)
    }
}

/// Splits a command line into commands that `&&` joins, and each command into words.
pub(super) fn split_commands(text: &str) -> Result<Vec<Vec<ShellWord>>, String> {
    let mut lexer = Lexer { rest: text, words: Vec::new(), word: None };
    let mut commands = Vec::new();
    while let Some(c) = lexer.next() {
        match c {
            ' ' | '\t' => lexer.end_word(),
            '&' if lexer.rest.starts_with('&') => {
                lexer.next();
                commands.push(lexer.end_command()?);
            }
            '\'' => lexer.single_quoted(text)?,
            '"' => lexer.double_quoted(text)?,
            '\\' => match lexer.next() {
                Some(escaped) => lexer.push(escaped),
                None => return Err("the command ends with a backslash".into()),
            },
            '$' => lexer.variable(false)?,
            '#' | '~' if lexer.word.is_none() => return Err(unsupported(c)),
            '|' | '&' | ';' | '<' | '>' | '(' | ')' | '{' | '}' | '*' | '?' | '[' | ']' | '`' | '\n' => {
                return Err(unsupported(c));
            }
            _ => lexer.push(c),
        }
    }
    commands.push(lexer.end_command()?);
    Ok(commands)
}

fn unsupported(c: char) -> String {
    format!(
        "{} is not supported in RUN. Quote it, or use only commands that && joins",
        quoted(&c.to_string())
    )
}

struct Lexer<'a> {
    rest: &'a str,
    words: Vec<ShellWord>,
    /// The current word. A quoted empty text is a word.
    word: Option<ShellWord>,
}

impl Lexer<'_> {
    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next();
        self.rest = chars.as_str();
        c
    }

    fn push(&mut self, c: char) {
        let ShellWord(parts) = self.word.get_or_insert_default();
        match parts.last_mut() {
            Some(Part::Literal(text)) => text.push(c),
            _ => parts.push(Part::Literal(c.into())),
        }
    }

    fn end_word(&mut self) {
        self.words.extend(self.word.take());
    }

    fn end_command(&mut self) -> Result<Vec<ShellWord>, String> {
        self.end_word();
        match std::mem::take(&mut self.words) {
            words if words.is_empty() => Err("a command is missing".into()),
            words => Ok(words),
        }
    }

    fn single_quoted(&mut self, text: &str) -> Result<(), String> {
        self.word.get_or_insert_default();
        while let Some(c) = self.next() {
            match c {
                '\'' => return Ok(()),
                c => self.push(c),
            }
        }
        Err(format!("{} has no closing single quote", quoted(text)))
    }

    fn double_quoted(&mut self, text: &str) -> Result<(), String> {
        self.word.get_or_insert_default();
        while let Some(c) = self.next() {
            match c {
                '"' => return Ok(()),
                '$' => self.variable(true)?,
                '`' => return Err(unsupported(c)),
                '\\' => match self.next() {
                    Some(escaped @ ('"' | '$' | '\\' | '`')) => self.push(escaped),
                    Some(other) => {
                        self.push('\\');
                        self.push(other);
                    }
                    None => break,
                },
                c => self.push(c),
            }
        }
        Err(format!("{} has no closing double quote", quoted(text)))
    }

    /// Reads `name` or `{name}` after a dollar sign.
    fn variable(&mut self, is_quoted: bool) -> Result<(), String> {
        let is_braced = self.rest.starts_with('{');
        let start = &self.rest[usize::from(is_braced)..];
        let length = start.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        let (name, after) = start.split_at(length);
        let is_name = name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
        let after = if is_braced { after.strip_prefix('}') } else { Some(after) };
        let Some(after) = after.filter(|_| is_name) else {
            return Err("only $name and ${name} are supported in RUN. Quote other dollar signs with '".into());
        };
        let part = Part::Variable { name: name.into(), is_quoted };
        self.rest = after;
        self.word.get_or_insert_default().0.push(part);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<Vec<Vec<String>>, String> {
        let variables = ["A=one".to_owned(), "B=a b".into(), "E=".into()];
        let commands = split_commands(text)?;
        let expand = |command: &Vec<ShellWord>| command.iter().map(|word| word.expand(&variables)).collect();
        commands.iter().map(expand).collect()
    }

    #[test]
    fn splits_commands_like_a_shell() {
        for (text, expected) in [
            ("mkdir -p /a  '/b c'", vec![vec!["mkdir", "-p", "/a", "/b c"]]),
            ("mkdir /a&&touch \"/a/$A ${A}\"", vec![vec!["mkdir", "/a"], vec!["touch", "/a/one one"]]),
            (r#"touch a\ b "\$A\x" '' $A"#, vec![vec!["touch", "a b", "$A\\x", "", "one"]]),
            ("touch \"$B\" \"$E\" a~#!", vec![vec!["touch", "a b", "", "a~#!"]]),
        ] {
            assert_eq!(words(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn rejects_everything_that_needs_a_shell() {
        for text in [
            "",
            "a &&",
            "&& a",
            "a; b",
            "a | b",
            "a || b",
            "a & b",
            "a > b",
            "a < b",
            "a *",
            "a ?",
            "a [b]",
            "a {b,c}",
            "a `b`",
            "a \"`b`\"",
            "a $(b)",
            "a ${b:-c}",
            "a $1",
            "a ~",
            "a # b",
            "a 'b",
            "a \"b",
            "a \\",
            "a $B",
            "a $E",
            "a $missing",
            "(a)",
            "a $'b'",
        ] {
            assert!(words(text).is_err(), "{text}");
        }
    }
}
