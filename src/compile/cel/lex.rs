//! Cuts a source into tokens, by the lexis of cel-spec. It must never know what they mean.

use super::error::{CelError, Place};

/// A token. Punctuation and names are told apart by their text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Name(String),
    /// A name in backticks, which only a field can have.
    Quoted(String),
    /// Its magnitude; the sign is an operator.
    Int(u64),
    Double(f64),
    Text(String),
    Mark(&'static str),
    /// CEL has it, this subset does not: what it is.
    Foreign(&'static str),
    End,
}

/// Longest first, so that `<=` is not read as `<`.
const MARKS: [&str; 25] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "+", "-", "*", "/", "%", "?", ":", ".", ",",
    "(", ")", "[", "]", "{", "}", "=",
];

pub(super) fn tokens(source: &str) -> Result<Vec<(Token, Place)>, CelError> {
    let mut lexer = Lexer { source, offset: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_space();
        let start = lexer.offset;
        let token = lexer.token()?;
        let end = token == Token::End;
        tokens.push((token, Place { offset: start, len: lexer.offset - start }));
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'s> {
    source: &'s str,
    offset: usize,
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        self.source.get(self.offset..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.offset += next.len_utf8();
        Some(next)
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.offset += text.len();
        }
        found
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'s str {
        let rest = self.rest();
        let len = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.offset += len;
        rest.get(..len).unwrap_or("")
    }

    fn skip_space(&mut self) {
        loop {
            self.take_while(|c| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}'));
            if !self.take("//") {
                return;
            }
            self.take_while(|c| c != '\n');
        }
    }

    fn bad(&self, start: usize, message: impl Into<String>) -> CelError {
        let place = Place { offset: start, len: self.offset - start };
        CelError::new("bad_literal", place, message.into())
    }

    fn token(&mut self) -> Result<Token, CelError> {
        let Some(first) = self.peek() else { return Ok(Token::End) };
        let start = self.offset;
        if let Some(text) = self.text()? {
            return Ok(text);
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
            return Ok(Token::Name(name.to_owned()));
        }
        let second = self.rest().chars().nth(1);
        if first.is_ascii_digit() || (first == '.' && second.is_some_and(|c| c.is_ascii_digit())) {
            return self.number();
        }
        if self.take("`") {
            let name = self.take_while(|c| c.is_ascii_alphanumeric() || "_.-/ ".contains(c));
            if name.is_empty() || !self.take("`") {
                return Err(self.bad(start, "a name in backticks has no end"));
            }
            return Ok(Token::Quoted(name.to_owned()));
        }
        if let Some(mark) = MARKS.iter().find(|mark| self.take(mark)) {
            return Ok(Token::Mark(mark));
        }
        self.next();
        let message = format!("`{}` is not used in conditions", first.escape_debug());
        Err(CelError { code: "unexpected_token", ..self.bad(start, message) })
    }

    fn number(&mut self) -> Result<Token, CelError> {
        let start = self.offset;
        let hex = self.take("0x") || self.take("0X");
        let token = if hex {
            let digits = self.take_while(|c| c.is_ascii_hexdigit());
            u64::from_str_radix(digits, 16).ok().map(Token::Int)
        } else {
            self.take_while(|c| c.is_ascii_digit());
            let mut whole = true;
            let after_dot = self.rest().chars().nth(1).is_some_and(|c| c.is_ascii_digit());
            if self.peek() == Some('.') && after_dot {
                whole = false;
                self.next();
                self.take_while(|c| c.is_ascii_digit());
            }
            if matches!(self.peek(), Some('e' | 'E')) {
                whole = false;
                self.next();
                let _ = self.take("+") || self.take("-");
                self.take_while(|c| c.is_ascii_digit());
            }
            let text = self.source.get(start..self.offset).unwrap_or("");
            if whole {
                text.parse().ok().map(Token::Int)
            } else {
                text.parse().ok().filter(|v: &f64| v.is_finite()).map(Token::Double)
            }
        };
        if let Some(Token::Int(_)) = token
            && (self.take("u") || self.take("U"))
        {
            return Ok(Token::Foreign("unsigned integers"));
        }
        self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        let text = self.source.get(start..self.offset).unwrap_or("");
        let ends_well =
            text.ends_with(|c: char| c.is_ascii_digit() || (hex && c.is_ascii_hexdigit()));
        match token {
            Some(token) if ends_well => Ok(token),
            _ => Err(self.bad(start, format!("`{text}` is not a number that fits in 64 bits"))),
        }
    }

    /// A text literal with its prefixes, where one begins here.
    fn text(&mut self) -> Result<Option<Token>, CelError> {
        let start = self.offset;
        let prefix = self.take_while(|c| matches!(c, 'r' | 'R' | 'b' | 'B'));
        if prefix.len() > 2 || !matches!(self.peek(), Some('"' | '\'')) {
            self.offset = start;
            return Ok(None);
        }
        let raw = prefix.contains(['r', 'R']);
        let quotes = ["\"\"\"", "'''", "\"", "'"];
        let Some(quote) = quotes.into_iter().find(|quote| self.take(quote)) else {
            return Ok(None);
        };
        let mut text = String::new();
        while !self.take(quote) {
            let at = self.offset;
            match self.next() {
                Some('\n' | '\r') if quote.len() == 1 => {
                    return Err(self.bad(start, "a text in single quotes ends on its line"));
                }
                None => return Err(self.bad(start, "a text has no end")),
                Some('\\') if !raw => match self.escape() {
                    Some(c) => text.push(c),
                    None => return Err(self.bad(at, "no escape of CEL")),
                },
                Some(c) => text.push(c),
            }
        }
        let bytes = prefix.contains(['b', 'B']);
        Ok(Some(if bytes { Token::Foreign("bytes") } else { Token::Text(text) }))
    }

    fn escape(&mut self) -> Option<char> {
        let kind = self.next()?;
        Some(match kind {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '\\' | '?' | '"' | '\'' | '`' => kind,
            'x' | 'X' => return self.code_point(2, 16, 0),
            'u' => return self.code_point(4, 16, 0),
            'U' => return self.code_point(8, 16, 0),
            '0'..='3' => return self.code_point(2, 8, kind.to_digit(8)?),
            _ => return None,
        })
    }

    fn code_point(&mut self, digits: u32, radix: u32, first: u32) -> Option<char> {
        let mut code = first;
        for _ in 0..digits {
            code = code.checked_mul(radix)?.checked_add(self.next()?.to_digit(radix)?)?;
        }
        char::from_u32(code)
    }
}
