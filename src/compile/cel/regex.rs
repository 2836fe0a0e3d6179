//! Regular expressions to programs: the part of RE2's syntax that decides whether a text matches,
//! bounded in size and nesting. It must never know the text.

use crate::limits::{PATTERN_NESTING, PATTERN_NUMBERS, PATTERN_REPEATS};
use crate::rule::draft::pattern::{
    BOUNDARY, END, JUMP, MATCH, NO_BOUNDARY, ONE, OTHER, SPLIT, START,
};

const LAST: u32 = char::MAX as u32;

/// What is wrong with a pattern, and at which byte of it.
#[derive(Debug)]
pub(super) struct PatternError {
    pub offset: usize,
    pub message: &'static str,
}

#[derive(Clone, Debug)]
enum Ast {
    Empty,
    /// One step, as its numbers.
    Step(Vec<u32>),
    Concat(Vec<Ast>),
    Either(Vec<Ast>),
    Repeat(Box<Ast>, u32, Option<u32>),
}

struct Parser<'p> {
    pattern: &'p str,
    offset: usize,
    nesting: usize,
    /// `(?i)`
    fold: bool,
    /// `(?s)`
    dot_all: bool,
}

pub(super) fn compile(pattern: &str) -> Result<Vec<u32>, PatternError> {
    let mut parser = Parser { pattern, offset: 0, nesting: 0, fold: false, dot_all: false };
    let ast = parser.either()?;
    if parser.peek().is_some() {
        return Err(parser.error("`)` closes nothing"));
    }
    let mut program = Vec::new();
    let fits = emit(&ast, &mut program).is_some();
    program.push(MATCH);
    if fits { Ok(program) } else { Err(PatternError { offset: 0, message: TOO_LARGE }) }
}

const TOO_LARGE: &str = "the pattern is too large once its repetitions are written out";

impl Parser<'_> {
    fn error(&self, message: &'static str) -> PatternError {
        PatternError { offset: self.offset, message }
    }

    fn peek(&self) -> Option<char> {
        self.pattern.get(self.offset..)?.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.offset += next.len_utf8();
        Some(next)
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.pattern.get(self.offset..).is_some_and(|rest| rest.starts_with(text));
        if found {
            self.offset += text.len();
        }
        found
    }

    fn either(&mut self) -> Result<Ast, PatternError> {
        let mut branches = Vec::new();
        loop {
            let mut parts = Vec::new();
            while let Some(next) = self.peek()
                && !matches!(next, '|' | ')')
            {
                let atom = self.atom()?;
                parts.push(self.repeated(atom)?);
            }
            branches.push(match parts.len() {
                0 => Ast::Empty,
                _ => Ast::Concat(parts),
            });
            if !self.take("|") {
                return Ok(Ast::Either(branches));
            }
        }
    }

    fn repeated(&mut self, atom: Ast) -> Result<Ast, PatternError> {
        let start = self.offset;
        let (least, most) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => match self.counts()? {
                Some(counts) => counts,
                None => return Ok(atom),
            },
            _ => return Ok(atom),
        };
        if self.offset == start {
            self.next();
        }
        // Whether it takes as much or as little as it can makes no difference to whether it does.
        let _ = self.take("?");
        if matches!(self.peek(), Some('*' | '+' | '?')) {
            return Err(self.error("nothing to repeat"));
        }
        Ok(Ast::Repeat(Box::new(atom), least, most))
    }

    /// `{2}`, `{2,}`, `{2,5}`; None where the brace stands for itself.
    fn counts(&mut self) -> Result<Option<(u32, Option<u32>)>, PatternError> {
        let start = self.offset;
        self.next();
        let least = self.count();
        let most = if self.take(",") { self.count() } else { least };
        let open = self.pattern.get(..self.offset).is_some_and(|read| read.ends_with(','));
        let (Some(least), true) = (least, self.take("}")) else {
            self.offset = start;
            return Ok(None);
        };
        let most = if open { None } else { most };
        if least > PATTERN_REPEATS
            || most.is_some_and(|most| most > PATTERN_REPEATS || most < least)
        {
            self.offset = start;
            return Err(self.error("a repetition is out of range"));
        }
        Ok(Some((least, most)))
    }

    fn count(&mut self) -> Option<u32> {
        let mut count: Option<u32> = None;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            self.next();
            count = Some(count.unwrap_or(0).saturating_mul(10).saturating_add(digit));
        }
        count
    }

    fn atom(&mut self) -> Result<Ast, PatternError> {
        let start = self.offset;
        let Some(next) = self.next() else { return Ok(Ast::Empty) };
        Ok(match next {
            '(' => return self.group(),
            '[' => Ast::Step(self.class()?),
            '.' => {
                let ranges = if self.dot_all { Vec::new() } else { vec![(10, 10)] };
                Ast::Step(char_step(true, &ranges))
            }
            '^' => Ast::Step(vec![START]),
            '$' => Ast::Step(vec![END]),
            '*' | '+' | '?' => {
                self.offset = start;
                return Err(self.error("nothing to repeat"));
            }
            '\\' if self.take("b") => Ast::Step(vec![BOUNDARY]),
            '\\' if self.take("B") => Ast::Step(vec![NO_BOUNDARY]),
            '\\' if self.take("A") => Ast::Step(vec![START]),
            '\\' if self.take("z") => Ast::Step(vec![END]),
            '\\' => {
                let (negated, ranges) = self.escape()?;
                Ast::Step(self.char_step(negated, ranges))
            }
            c => Ast::Step(self.char_step(false, vec![(u32::from(c), u32::from(c))])),
        })
    }

    fn group(&mut self) -> Result<Ast, PatternError> {
        let flags = (self.fold, self.dot_all);
        if self.take("?") && !self.take("P<") && !self.take("<") {
            let mut on = true;
            loop {
                match self.next() {
                    Some('i') => self.fold = on,
                    Some('s') => self.dot_all = on,
                    Some('-') => on = false,
                    Some(':') => break,
                    // Flags for the rest of the group around.
                    Some(')') => return Ok(Ast::Empty),
                    _ => {
                        return Err(
                            self.error("look-around and other flags than `i`, `s` are not known")
                        );
                    }
                }
            }
        } else if self.pattern.get(..self.offset).is_some_and(|read| read.ends_with('<')) {
            while self.peek().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_') {
                self.next();
            }
            if !self.take(">") {
                return Err(self.error("look-around and other flags than `i`, `s` are not known"));
            }
        }
        self.nesting += 1;
        if self.nesting > PATTERN_NESTING {
            return Err(self.error("too many groups within groups"));
        }
        let inner = self.either()?;
        self.nesting -= 1;
        (self.fold, self.dot_all) = flags;
        if self.take(")") { Ok(inner) } else { Err(self.error("a group has no end")) }
    }

    fn char_step(&self, negated: bool, ranges: Vec<(u32, u32)>) -> Vec<u32> {
        char_step(negated, &if self.fold { folded(ranges) } else { merged(ranges) })
    }

    /// What follows a backslash: characters, or all others.
    fn escape(&mut self) -> Result<(bool, Vec<(u32, u32)>), PatternError> {
        let Some(kind) = self.next() else { return Err(self.error("nothing after `\\`")) };
        let ranges: &[(char, char)] = match kind.to_ascii_lowercase() {
            'd' => &[('0', '9')],
            's' => &[('\t', '\n'), ('\u{c}', '\r'), (' ', ' ')],
            'w' => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
            _ => &[],
        };
        if !ranges.is_empty() {
            let ranges = ranges.iter().map(|(a, b)| (u32::from(*a), u32::from(*b))).collect();
            return Ok((kind.is_ascii_uppercase(), ranges));
        }
        let c = match kind {
            'n' => 10,
            't' => 9,
            'r' => 13,
            'f' => 12,
            'v' => 11,
            'x' => self.hex()?,
            c if !c.is_ascii_alphanumeric() => u32::from(c),
            _ => return Err(self.error("this escape is not known")),
        };
        Ok((false, vec![(c, c)]))
    }

    /// `\x41` or `\x{1F431}`.
    fn hex(&mut self) -> Result<u32, PatternError> {
        let braces = self.take("{");
        let mut code = 0_u32;
        let mut digits = 0;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(16))
            && (braces || digits < 2)
        {
            self.next();
            code = code.saturating_mul(16).saturating_add(digit);
            digits += 1;
        }
        let ended = if braces { digits > 0 && self.take("}") } else { digits == 2 };
        if ended && code <= LAST { Ok(code) } else { Err(self.error("this escape is not known")) }
    }

    fn class(&mut self) -> Result<Vec<u32>, PatternError> {
        let negated = self.take("^");
        let mut ranges = Vec::new();
        let mut first = true;
        while first || self.peek() != Some(']') {
            first = false;
            if self.take("[:") {
                let name_start = self.offset;
                while self.peek().is_some_and(|c| c.is_ascii_lowercase()) {
                    self.next();
                }
                let name = self.pattern.get(name_start..self.offset).unwrap_or("");
                let known = named_class(name);
                if known.is_empty() || !self.take(":]") {
                    return Err(self.error("this class is not known"));
                }
                ranges.extend(known.iter().map(|(a, b)| (u32::from(*a), u32::from(*b))));
                continue;
            }
            let low = self.class_char(&mut ranges)?;
            let rest = self.pattern.get(self.offset..).unwrap_or("");
            let Some(low) = low else { continue };
            if rest.starts_with('-') && !rest.starts_with("-]") {
                self.next();
                let high = self.class_char(&mut Vec::new())?;
                match high {
                    Some(high) if low <= high => ranges.push((low, high)),
                    _ => return Err(self.error("a range of characters ends before it begins")),
                }
            } else {
                ranges.push((low, low));
            }
        }
        self.next();
        Ok(self.char_step(negated, ranges))
    }

    /// One character of a class, or None after whole ranges were added.
    fn class_char(&mut self, ranges: &mut Vec<(u32, u32)>) -> Result<Option<u32>, PatternError> {
        match self.next() {
            None => Err(self.error("a class has no end")),
            Some('\\') => {
                let (negated, escaped) = self.escape()?;
                match escaped.as_slice() {
                    [(a, b)] if a == b && !negated => return Ok(Some(*a)),
                    _ if negated => ranges.extend(others(&merged(escaped))),
                    _ => ranges.extend(escaped),
                }
                Ok(None)
            }
            Some(c) => Ok(Some(u32::from(c))),
        }
    }
}

fn named_class(name: &str) -> &'static [(char, char)] {
    match name {
        "alpha" => &[('A', 'Z'), ('a', 'z')],
        "digit" => &[('0', '9')],
        "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "upper" => &[('A', 'Z')],
        "lower" => &[('a', 'z')],
        "space" => &[('\t', '\r'), (' ', ' ')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        "word" => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        _ => &[],
    }
}

/// Sorted and without overlaps.
fn merged(mut ranges: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    ranges.sort_unstable();
    let mut merged: Vec<(u32, u32)> = Vec::new();
    for (low, high) in ranges {
        match merged.last_mut() {
            Some((_, last)) if low <= last.saturating_add(1) => *last = high.max(*last),
            _ => merged.push((low, high)),
        }
    }
    merged
}

fn others(ranges: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let mut others = Vec::new();
    let mut next = 0;
    for (low, high) in ranges {
        if next < *low {
            others.push((next, low - 1));
        }
        next = high + 1;
    }
    if next <= LAST {
        others.push((next, LAST));
    }
    others
}

/// With the other case of every character that has exactly one; of long ranges, of ASCII only.
fn folded(ranges: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    let mut all = ranges.clone();
    for (low, high) in ranges {
        let end = if high - low > 2_000 { high.min(0x7f) } else { high };
        for c in (low..=end).filter_map(char::from_u32) {
            for other in [one(c.to_lowercase()), one(c.to_uppercase())].into_iter().flatten() {
                all.push((u32::from(other), u32::from(other)));
            }
        }
    }
    merged(all)
}

fn one(mut chars: impl Iterator<Item = char>) -> Option<char> {
    let first = chars.next();
    if chars.next().is_none() { first } else { None }
}

fn char_step(negated: bool, ranges: &[(u32, u32)]) -> Vec<u32> {
    let count = u32::try_from(ranges.len()).unwrap_or(u32::MAX);
    let mut step = vec![if negated { OTHER } else { ONE }, count];
    step.extend(ranges.iter().flat_map(|(low, high)| [*low, *high]));
    step
}

/// Appends the program of `ast`, which goes on behind it. None where it grows too large.
fn emit(ast: &Ast, program: &mut Vec<u32>) -> Option<()> {
    match ast {
        Ast::Empty => {}
        Ast::Step(step) => program.extend(step),
        Ast::Concat(parts) => {
            for part in parts {
                emit(part, program)?;
            }
        }
        Ast::Either(branches) => {
            let (last, others) = branches.split_last()?;
            let mut jumps = Vec::new();
            for branch in others {
                let next = split(program);
                emit(branch, program)?;
                program.extend([JUMP, 0]);
                jumps.push(program.len() - 1);
                land(program, next);
            }
            emit(last, program)?;
            for jump in jumps {
                land(program, jump);
            }
        }
        Ast::Repeat(inner, least, most) => {
            for _ in 0..*least {
                emit(inner, program)?;
            }
            match most {
                None => {
                    let again = u32::try_from(program.len()).ok()?;
                    let end = split(program);
                    emit(inner, program)?;
                    program.extend([JUMP, again]);
                    land(program, end);
                }
                Some(most) => {
                    let mut ends = Vec::new();
                    for _ in *least..*most {
                        ends.push(split(program));
                        emit(inner, program)?;
                    }
                    for end in ends {
                        land(program, end);
                    }
                }
            }
        }
    }
    (program.len() <= PATTERN_NUMBERS).then_some(())
}

/// Goes on right behind and at a place that is still to be told: where that is to be written.
fn split(program: &mut Vec<u32>) -> usize {
    let behind = u32::try_from(program.len() + 3).unwrap_or(u32::MAX);
    program.extend([SPLIT, behind, 0]);
    program.len() - 1
}

/// Writes the place behind the program so far.
fn land(program: &mut [u32], at: usize) {
    let behind = u32::try_from(program.len()).unwrap_or(u32::MAX);
    if let Some(target) = program.get_mut(at) {
        *target = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::draft::pattern::{Threads, is_match as run};

    fn is_match(pattern: &str, text: &str) -> Option<bool> {
        compile(pattern).ok().map(|program| run(&program, text, &mut Threads::default()))
    }

    #[test]
    fn patterns_match_as_in_re2() {
        for (pattern, yes, no) in [
            ("ubb", "hubba", "hub"),
            ("^/shop/", "/shop/shoes", "/blog/shop/"),
            ("s$", "shoes", "shoe"),
            ("gr(a|e)y", "grey", "groy"),
            ("^(?:ab|cd)+$", "abcdab", "abc"),
            ("^a{2,3}$", "aaa", "aaaa"),
            ("^a{2}$", "aa", "a"),
            ("^a{2,}$", "aaaa", "a"),
            ("^(a|😀){2}$", "😀a", "😀"),
            (r"^\d{4}-\d\d$", "2024-01", "2024-1"),
            (r"^[\w.-]+@[a-z]+\.de$", "a.b-c@web.de", "a b@web.de"),
            ("^[^a-c]$", "d", "b"),
            ("^[]a]$", "]", "b"),
            ("(?i)straße", "STRAßE", "strasse"),
            ("^.$", "\u{1F431}", "\n"),
            ("(?s)^.$", "\n", ""),
            (r"\bsale\b", "big sale now", "wholesale"),
            (r"^\x41\x{1F431}$", "A\u{1F431}", "A"),
            ("^[[:alpha:]]+$", "abc", "ab1"),
            ("^a*?b$", "aab", "aa"),
            ("^(a*)*$", "aaa", "b"),
            ("^x{,2}$", "x{,2}", "xx"),
            ("(?P<name>ab)c", "abc", "ab"),
        ] {
            assert_eq!(is_match(pattern, yes), Some(true), "{pattern} {yes}");
            assert_eq!(is_match(pattern, no), Some(false), "{pattern} {no}");
        }
        assert_eq!(is_match("", ""), Some(true));
        assert_eq!(is_match("a||b", ""), Some(true));
    }

    #[test]
    fn bad_and_oversized_patterns_are_refused() {
        let deep = "(".repeat(10_000);
        let large = "((a{100}){100}){100}";
        let backreference = r"(a)\1";
        for pattern in [
            &deep,
            large,
            backreference,
            "(",
            ")",
            "[a",
            "*a",
            "a**",
            "a{3,2}",
            "a{2000}",
            "(?=a)",
            "\\",
        ] {
            assert!(compile(pattern).is_err(), "{pattern:.20}");
        }
    }

    #[test]
    fn a_pattern_made_to_be_slow_takes_linear_time() {
        let program = compile("^(a+)+(a|a)*(a?){50}$").ok();
        let text = "a".repeat(50_000) + "b";
        let found = program.map(|program| run(&program, &text, &mut Threads::default()));
        assert_eq!(found, Some(false));
    }
}
