//! From tokens to the syntax tree, by precedence climbing. Source, nesting and height are bounded,
//! so that nothing that walks the tree later can run out of stack. It must never know types.

use super::ast::{Call, Expr, Form};
use super::error::{CelError, Place};
use super::lex::{Token, tokens};
use crate::limits::{CONDITION_BYTES, CONDITION_HEIGHT, CONDITION_NESTING};

/// Names that CEL keeps for itself.
const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

pub(super) fn parse(source: &str) -> Result<Expr, CelError> {
    if source.len() > CONDITION_BYTES {
        let message =
            format!("the source has {} bytes, at most {CONDITION_BYTES} are read", source.len());
        return Err(CelError::new("source_too_long", Place::default(), message));
    }
    let mut parser = Parser { tokens: tokens(source)?, next: 0, nesting: 0 };
    let expr = parser.expr()?;
    match parser.peek() {
        Token::End => Ok(expr),
        _ => Err(parser.unexpected("the end")),
    }
}

struct Parser {
    tokens: Vec<(Token, Place)>,
    next: usize,
    nesting: usize,
}

/// How tightly a binary operator binds; None for what is none.
fn binding(token: &Token) -> Option<(&'static str, u8)> {
    let name = match token {
        Token::Mark(mark) => mark,
        Token::Name(name) if name == "in" => "in",
        _ => return None,
    };
    Some(match name {
        "||" => ("||", 1),
        "&&" => ("&&", 2),
        "==" | "!=" | "<" | "<=" | ">" | ">=" | "in" => (name, 3),
        "+" | "-" => (name, 4),
        "*" | "/" | "%" => (name, 5),
        _ => return None,
    })
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(token, _)| token)
    }

    fn place(&self) -> Place {
        self.tokens.get(self.next).or(self.tokens.last()).map(|(_, p)| *p).unwrap_or_default()
    }

    fn take(&mut self) -> (Token, Place) {
        let taken = (self.peek().clone(), self.place());
        self.next += 1;
        taken
    }

    fn take_mark(&mut self, mark: &str) -> Option<Place> {
        let found = matches!(self.peek(), Token::Mark(m) if *m == mark);
        found.then(|| self.take().1)
    }

    fn expect(&mut self, mark: &'static str) -> Result<Place, CelError> {
        self.take_mark(mark).ok_or_else(|| self.unexpected(&format!("`{mark}`")))
    }

    fn unexpected(&self, wanted: &str) -> CelError {
        let found = match self.peek() {
            Token::Name(name) | Token::Quoted(name) => format!("`{name}`"),
            Token::Mark("=") => {
                let message = "`=` assigns nothing here, equality is `==`".to_owned();
                return CelError::new("unexpected_token", self.place(), message)
                    .instead("==".to_owned());
            }
            Token::Mark(mark) => format!("`{mark}`"),
            Token::Int(_) | Token::Double(_) => "a number".to_owned(),
            Token::Text(_) => "a text".to_owned(),
            Token::Foreign(what) => return foreign(what, self.place()),
            Token::End => "the end".to_owned(),
        };
        let message = format!("expected {wanted}, found {found}");
        CelError::new("unexpected_token", self.place(), message)
    }

    /// Makes a node over its parts, unless the tree grows too high.
    fn node(&self, form: Form, place: Place, parts: &[usize]) -> Result<Expr, CelError> {
        let height = parts.iter().max().copied().unwrap_or(0) + 1;
        if height > CONDITION_HEIGHT {
            let message = format!("the expression has more than {CONDITION_HEIGHT} levels");
            return Err(CelError::new("too_deep", place, message));
        }
        Ok(Expr { form, place, height })
    }

    fn deeper<T>(
        &mut self,
        of: impl FnOnce(&mut Self) -> Result<T, CelError>,
    ) -> Result<T, CelError> {
        self.nesting += 1;
        if self.nesting > CONDITION_NESTING {
            let message = format!("more than {CONDITION_NESTING} levels of nesting");
            return Err(CelError::new("too_deep", self.place(), message));
        }
        let result = of(self);
        self.nesting -= 1;
        result
    }

    fn expr(&mut self) -> Result<Expr, CelError> {
        self.deeper(|p| {
            let test = p.binary(1)?;
            if p.take_mark("?").is_none() {
                return Ok(test);
            }
            let yes = p.deeper(|p| p.binary(1))?;
            p.expect(":")?;
            let no = p.expr()?;
            let place = test.place.to(no.place);
            let heights = [test.height, yes.height, no.height];
            p.node(Form::If(Box::new([test, yes, no])), place, &heights)
        })
    }

    fn binary(&mut self, least: u8) -> Result<Expr, CelError> {
        let mut left = self.unary()?;
        while let Some((op, bound)) = binding(self.peek())
            && bound >= least
        {
            self.take();
            let right = self.deeper(|p| p.binary(bound + 1))?;
            let place = left.place.to(right.place);
            let heights = [left.height, right.height];
            left = match (op, left.form) {
                ("&&", Form::And(mut all)) => {
                    let height = left.height.saturating_sub(1);
                    all.push(right);
                    self.node(Form::And(all), place, &[height, heights[1]])?
                }
                ("||", Form::Or(mut all)) => {
                    let height = left.height.saturating_sub(1);
                    all.push(right);
                    self.node(Form::Or(all), place, &[height, heights[1]])?
                }
                (op, form) => {
                    let left = Expr { form, place: left.place, height: left.height };
                    let form = match op {
                        "&&" => Form::And(vec![left, right]),
                        "||" => Form::Or(vec![left, right]),
                        op => Form::Binary(op, Box::new([left, right])),
                    };
                    self.node(form, place, &heights)?
                }
            };
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, CelError> {
        if let Some(start) = self.take_mark("!") {
            let of = self.deeper(Self::unary)?;
            let (place, height) = (start.to(of.place), of.height);
            return self.node(Form::Not(Box::new(of)), place, &[height]);
        }
        let Some(start) = self.take_mark("-") else { return self.member() };
        if let (Token::Int(magnitude), end) = (self.peek().clone(), self.place()) {
            // The smallest integer has no positive counterpart.
            if let Some(value) = 0_i64.checked_sub_unsigned(magnitude) {
                self.take();
                let literal = self.node(Form::Int(value), start.to(end), &[])?;
                return self.members_of(literal);
            }
        }
        let of = self.deeper(Self::unary)?;
        let (place, height) = (start.to(of.place), of.height);
        self.node(Form::Negate(Box::new(of)), place, &[height])
    }

    fn member(&mut self) -> Result<Expr, CelError> {
        let primary = self.primary()?;
        self.members_of(primary)
    }

    fn members_of(&mut self, mut of: Expr) -> Result<Expr, CelError> {
        loop {
            let height = of.height;
            let start = of.place;
            if self.take_mark(".").is_some() {
                let (token, name_place) = self.take();
                let (name, quoted) = match token {
                    Token::Name(name) => (name, false),
                    Token::Quoted(name) => (name, true),
                    _ => {
                        self.next -= 1;
                        return Err(self.unexpected("a name"));
                    }
                };
                if !quoted && self.take_mark("(").is_some() {
                    let (args, end) = self.list_until(")")?;
                    let heights = heights(height, &args);
                    let call = Call { target: Some(of), name, name_place, args };
                    of = self.node(Form::Call(Box::new(call)), start.to(end), &heights)?;
                } else {
                    let form = Form::Field(Box::new(of), name, name_place);
                    of = self.node(form, start.to(name_place), &[height])?;
                }
            } else if self.take_mark("[").is_some() {
                let index = self.expr()?;
                let end = self.expect("]")?;
                let heights = [height, index.height];
                let form = Form::Index(Box::new(of), Box::new(index));
                of = self.node(form, start.to(end), &heights)?;
            } else {
                return Ok(of);
            }
        }
    }

    /// Comma-separated expressions up to the closing mark; one comma may follow the last.
    fn list_until(&mut self, close: &'static str) -> Result<(Vec<Expr>, Place), CelError> {
        let mut list = Vec::new();
        loop {
            if let Some(end) = self.take_mark(close) {
                return Ok((list, end));
            }
            list.push(self.expr()?);
            if self.take_mark(",").is_none() {
                return self.expect(close).map(|end| (list, end));
            }
        }
    }

    fn primary(&mut self) -> Result<Expr, CelError> {
        let (token, place) = self.take();
        let form = match token {
            Token::Int(magnitude) => match i64::try_from(magnitude) {
                Ok(value) => Form::Int(value),
                Err(_) => {
                    let message = format!("`{magnitude}` does not fit in 64 bits with a sign");
                    return Err(CelError::new("bad_literal", place, message));
                }
            },
            Token::Double(value) => Form::Double(value),
            Token::Text(text) => Form::Text(text),
            Token::Mark("(") => {
                let inner = self.expr()?;
                let end = self.expect(")")?;
                return Ok(Expr { place: place.to(end), ..inner });
            }
            Token::Mark("[") => {
                let (entries, end) = self.list_until("]")?;
                let heights = heights(0, &entries);
                return self.node(Form::List(entries), place.to(end), &heights);
            }
            Token::Mark("{") => return Err(foreign("maps", place)),
            Token::Foreign(what) => return Err(foreign(what, place)),
            Token::Mark(".") => {
                // A leading dot asks for the outermost name, and there is only one level of names.
                let (token, name_place) = self.take();
                let Token::Name(name) = token else {
                    self.next -= 1;
                    return Err(self.unexpected("a name"));
                };
                return self.named(name, name_place);
            }
            Token::Name(name) => return self.named(name, place),
            _ => {
                self.next -= 1;
                return Err(self.unexpected("an expression"));
            }
        };
        self.node(form, place, &[])
    }

    fn named(&mut self, name: String, place: Place) -> Result<Expr, CelError> {
        if let Some(start) = self.take_mark("(") {
            let (args, end) = self.list_until(")")?;
            let heights = heights(0, &args);
            let call = Call { target: None, name, name_place: place, args };
            return self.node(Form::Call(Box::new(call)), place.to(start).to(end), &heights);
        }
        let form = match name.as_str() {
            "true" => Form::Bool(true),
            "false" => Form::Bool(false),
            "null" => return Err(foreign("`null`", place)),
            "in" => {
                self.next -= 1;
                return Err(self.unexpected("an expression"));
            }
            reserved if RESERVED.contains(&reserved) => {
                let message = format!("`{reserved}` is a word that CEL keeps for itself");
                return Err(CelError::new("unexpected_token", place, message));
            }
            _ => Form::Name(name),
        };
        self.node(form, place, &[])
    }
}

fn heights(target: usize, args: &[Expr]) -> Vec<usize> {
    args.iter().map(|arg| arg.height).chain([target]).collect()
}

fn foreign(what: &str, place: Place) -> CelError {
    let message = format!("conditions have no {what}, see the subset of CEL in the reference");
    CelError::new("unsupported", place, message)
}
