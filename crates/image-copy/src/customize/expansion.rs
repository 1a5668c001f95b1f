//! Variables, quotes and escapes in the words of Dockerfile instructions.
//!
//! The rules are those of BuildKit
//! (<https://github.com/moby/buildkit/blob/v0.30/frontend/dockerfile/shell/lex.go>).

use std::iter::Peekable;
use std::str::Chars;

use super::error::quoted;

/// Variables of an image: `name=value`, as in its config.
pub(super) type Variables = [String];

/// Maximum length of an expanded text in bytes. Nested expansions would otherwise grow without limit.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// Maximum depth of nested `${a:-${b}}`.
const MAX_DEPTH: usize = 16;

/// Returns the value of a variable.
pub(super) fn lookup<'a>(variables: &'a Variables, name: &str) -> Option<&'a str> {
    variables.iter().find_map(|variable| variable.strip_prefix(name)?.strip_prefix('='))
}

/// Expands variables, and removes quotes and escapes. A variable that is not set is empty.
pub(super) fn expand(word: &str, variables: &Variables) -> Result<String, String> {
    Expansion::new(word, variables, Quotes::Removed).run()
}

/// Expands variables of a heredoc, and removes escapes. Quotes stay.
pub(super) fn expand_heredoc(text: &str, variables: &Variables) -> Result<String, String> {
    Expansion::new(text, variables, Quotes::Kept).run()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Removed,
    Kept,
}

struct Expansion<'a> {
    word: &'a str,
    rest: Peekable<Chars<'a>>,
    variables: &'a Variables,
    quotes: Quotes,
    depth: usize,
}

impl<'a> Expansion<'a> {
    fn new(word: &'a str, variables: &'a Variables, quotes: Quotes) -> Self {
        Self { word, rest: word.chars().peekable(), variables, quotes, depth: 0 }
    }

    fn run(mut self) -> Result<String, String> {
        self.until(None)
    }

    /// Expands until the character, or until the end.
    fn until(&mut self, end: Option<char>) -> Result<String, String> {
        let mut text = String::new();
        while let Some(c) = self.rest.next() {
            match c {
                _ if Some(c) == end => return Ok(text),
                '\'' if self.quotes == Quotes::Removed => self.single_quoted(&mut text)?,
                '"' if self.quotes == Quotes::Removed => self.double_quoted(&mut text)?,
                '$' => self.variable(&mut text)?,
                '\\' => text.extend(self.rest.next()),
                _ => text.push(c),
            }
            if text.len() > MAX_BYTES {
                return Err(format!("{} is longer than {MAX_BYTES} bytes", quoted(self.word)));
            }
        }
        match end {
            Some(end) => Err(format!("{} has no closing {end}", quoted(self.word))),
            None => Ok(text),
        }
    }

    fn single_quoted(&mut self, text: &mut String) -> Result<(), String> {
        for c in self.rest.by_ref() {
            if c == '\'' {
                return Ok(());
            }
            text.push(c);
        }
        Err(format!("{} has no closing single quote", quoted(self.word)))
    }

    fn double_quoted(&mut self, text: &mut String) -> Result<(), String> {
        while let Some(c) = self.rest.next() {
            match c {
                '"' => return Ok(()),
                '$' => self.variable(text)?,
                '\\' => match self.rest.next() {
                    Some(escaped @ ('"' | '$' | '\\')) => text.push(escaped),
                    Some(other) => text.extend(['\\', other]),
                    None => break,
                },
                _ => text.push(c),
            }
            if text.len() > MAX_BYTES {
                return Err(format!("{} is longer than {MAX_BYTES} bytes", quoted(self.word)));
            }
        }
        Err(format!("{} has no closing double quote", quoted(self.word)))
    }

    /// Expands the variable after a dollar sign.
    fn variable(&mut self, text: &mut String) -> Result<(), String> {
        let is_braced = self.rest.next_if_eq(&'{').is_some();
        let name = self.name();
        if !is_braced {
            match name.as_str() {
                "" if self.rest.peek().is_some_and(|c| c.is_ascii_digit() || "@*#?-$!".contains(*c)) => {
                    return Err(self.unsupported());
                }
                "" => text.push('$'),
                name => text.push_str(lookup(self.variables, name).unwrap_or_default()),
            }
            return Ok(());
        }
        if name.is_empty() {
            return Err(self.unsupported());
        }
        let value = lookup(self.variables, &name);
        let ignores_empty = self.rest.next_if_eq(&':').is_some();
        let value = value.filter(|value| !ignores_empty || !value.is_empty());
        match self.rest.next() {
            Some('}') if !ignores_empty => text.push_str(value.unwrap_or_default()),
            Some(operator @ ('-' | '+')) => {
                let other = self.nested()?;
                match (operator, value) {
                    ('-', Some(value)) => text.push_str(value),
                    ('-', None) | ('+', Some(_)) => text.push_str(&other),
                    _ => {}
                }
            }
            _ => return Err(self.unsupported()),
        }
        Ok(())
    }

    fn nested(&mut self) -> Result<String, String> {
        if self.depth == MAX_DEPTH {
            return Err(self.unsupported());
        }
        self.depth += 1;
        let text = self.until(Some('}'));
        self.depth -= 1;
        text
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self
            .rest
            .next_if(|c| c.is_ascii_alphabetic() || *c == '_' || (!name.is_empty() && c.is_ascii_digit()))
        {
            name.push(c);
        }
        name
    }

    fn unsupported(&self) -> String {
        format!(
            "{} has an unsupported variable. Use $name, ${{name}}, ${{name:-default}} or ${{name:+value}}, or \\$ for a dollar sign",
            quoted(self.word)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, expected: Result<&str, &str>) {
        let variables = ["A=one".to_owned(), "E=".into(), "AB=two".into()];
        match (expand(word, &variables), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{word}"),
            (Err(found), Err(part)) => assert!(found.contains(part), "{word}: {found}"),
            (found, _) => panic!("{word}: {found:?}"),
        }
    }

    /// Examples of
    /// <https://github.com/moby/buildkit/blob/v0.30/frontend/dockerfile/shell/envVarTest>.
    #[test]
    fn expands_like_buildkit() {
        check("$A-${A}$AB$missing", Ok("one-onetwo"));
        check("he'llo'$A'$A'", Ok("helloone$A"));
        check(r#""a b\"\$\\\n$A""#, Ok(r#"a b"$\\none"#));
        check(r"a\ b\$A", Ok("a b$A"));
        check("${E-x}${E:-x}${missing-y}", Ok("xy"));
        check("${A:+set}${E:+set}${E+set}", Ok("setset"));
        check("${missing:-${A}/x}", Ok("one/x"));
        check("a$", Ok("a$"));
        check("$/x", Ok("$/x"));
        check("'a", Err("single quote"));
        check("\"a", Err("double quote"));
        check("${A", Err("unsupported"));
        check("${missing:-x", Err("no closing }"));
        check("$1", Err("unsupported"));
        check("${A:?x}", Err("unsupported"));
        check("${A%x}", Err("unsupported"));
        check(&"${missing:-".repeat(40), Err("unsupported"));
    }

    #[test]
    fn keeps_the_quotes_of_a_heredoc() {
        let variables = ["A=one".to_owned()];
        assert_eq!(expand_heredoc("'$A' \"\\$A\"\n", &variables).unwrap(), "'one' \"$A\"\n");
    }
}
